"""IEM in eager PyTorch with autograd, written from SPEC section 2: the peer that `bench_peer.py` measures against."""

import numpy as np
import torch
import torch.nn.functional as functional

EPSILON = 1e-8


class PeerIEM:
    """The straightforward implementation: two inpaintings an iteration, `backward` for the gradient."""

    def __init__(self, device: str, sigma=5.0, kernel_size=11, reps=2, lmbda=1e-3, scale_factor=1, iters=150):
        taps = torch.arange(kernel_size, dtype=torch.float32, device=device) - kernel_size // 2
        kernel = torch.exp(-0.5 * taps**2 / sigma**2)
        self.kernel = (kernel / kernel.sum()).view(1, 1, -1)
        self.device, self.reps, self.lmbda, self.scale, self.iters = device, reps, lmbda, scale_factor, iters

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Segment uint8 images (B, H, W, C); returns masks (B, H, W)."""
        x = torch.from_numpy(images).to(self.device).permute(0, 3, 1, 2).float() / 255 * 2 - 1
        mask = torch.zeros_like(x[:, :1])
        height, width = x.shape[2:]
        mask[:, :, height // 5 : height - height // 5, width // 5 : width - width // 5] = 1
        for _ in range(self.iters):
            mask = self._step(x, mask)
        return mask[:, 0].bool().cpu().numpy()

    def _step(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        mask = mask.requires_grad_()
        (self._error(x, mask) - self.lmbda * self._diversity(x, mask)).sum().backward()
        gradient = mask.grad
        with torch.no_grad():
            edge = self._edge(mask) | self._edge(1 - mask)
            updated = torch.where(edge & (gradient != 0), (gradient > 0).float(), mask)
            return (functional.avg_pool2d(updated, 3, 1, 1, divisor_override=1) >= 4).float()

    def _error(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        total = torch.zeros(len(x), device=self.device)
        for hidden, known in ((mask, 1 - mask), (1 - mask, mask)):
            error = (x - self._inpaint(x * known, known)).abs().mean(1, keepdim=True)
            total = total + (hidden * error).sum((1, 2, 3)) / hidden.sum((1, 2, 3))
        return total

    def _diversity(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        total = torch.zeros(len(x), device=self.device)
        for side in (mask, 1 - mask):
            mean = (x * side).sum((2, 3), keepdim=True) / side.sum((2, 3), keepdim=True)
            total = total + (side * (x - mean) ** 2).sum((1, 2, 3))
        return total

    def _inpaint(self, known_pixels: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        stack = torch.cat([known_pixels, known], 1)
        epsilon = EPSILON * stack.sum((2, 3), keepdim=True)
        channels, half = stack.shape[1], self.kernel.shape[-1] // 2
        kernel = self.kernel.unsqueeze(1).expand(channels, 1, 1, -1)
        if self.scale > 1:
            stack = functional.avg_pool2d(stack, self.scale)
        for _ in range(self.reps):
            stack = functional.conv2d(stack, kernel.transpose(2, 3), padding=(half, 0), groups=channels)
            stack = functional.conv2d(stack, kernel, padding=(0, half), groups=channels)
        if self.scale > 1:
            stack = functional.interpolate(stack, scale_factor=self.scale, mode="nearest")
        stack = stack + epsilon
        return stack[:, :-1] / stack[:, -1:]

    @staticmethod
    def _edge(mask: torch.Tensor) -> torch.Tensor:
        padded = functional.pad(mask, (1, 1, 1, 1))
        neighbours = padded[:, :, 2:, 1:-1] + padded[:, :, :-2, 1:-1] + padded[:, :, 1:-1, 2:] + padded[:, :, 1:-1, :-2]
        return (mask > 0.5) & (neighbours < 3.5)
