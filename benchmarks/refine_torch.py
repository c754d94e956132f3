"""The SegNet in eager PyTorch, written from its description: the peer that `bench_refine.py` measures against."""

import torch
from torch import nn


def _normed(*layers: nn.Module, channels: int) -> list[nn.Module]:
    return [*layers, nn.InstanceNorm2d(channels, affine=True), nn.ReLU(inplace=True)]


class Residual(nn.Module):
    """Convolution, norm, ReLU, convolution, added to the input, norm, ReLU."""

    def __init__(self, width: int):
        super().__init__()
        first = _normed(nn.Conv2d(width, width, 3, padding=1, bias=False), channels=width)
        self.inner = nn.Sequential(*first, nn.Conv2d(width, width, 3, padding=1))
        self.outer = nn.Sequential(*_normed(channels=width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a map of the same shape."""
        return self.outer(x + self.inner(x))


class TorchSegNet(nn.Module):
    """Pictures (B, C, H, W) to logits (B, H, W)."""

    def __init__(self, channels: int = 3, width: int = 64, depth: int = 3):
        super().__init__()
        self.encoder = nn.Sequential(
            *_normed(nn.ReflectionPad2d(3), nn.Conv2d(channels, width // 4, 7, bias=False), channels=width // 4),
            *_normed(nn.Conv2d(width // 4, width // 2, 3, 2, 1, bias=False), channels=width // 2),
            *_normed(nn.Conv2d(width // 2, width, 3, 2, 1, bias=False), channels=width),
            *(Residual(width) for _ in range(depth)),
        )
        self.pyramid = nn.ModuleList(nn.Conv2d(width, 1, 1) for _ in range(4))
        pooled = width + 4
        self.decoder = nn.Sequential(
            nn.Upsample(scale_factor=2),
            *_normed(nn.Conv2d(pooled, pooled // 2, 3, 1, 1, bias=False), channels=pooled // 2),
            nn.Upsample(scale_factor=2),
            *_normed(nn.Conv2d(pooled // 2, pooled // 4, 3, 1, 1, bias=False), channels=pooled // 4),
            nn.ReflectionPad2d(3),
            nn.Conv2d(pooled // 4, 1, 7),
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.orthogonal_(layer.weight, 0.8)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        x = self.encoder(x)
        maps = [x]
        for part, layer in zip((1, 2, 3, 6), self.pyramid, strict=True):
            window = (x.shape[2] // part, x.shape[3] // part)
            pooled = layer(nn.functional.avg_pool2d(x, window))
            maps.append(nn.functional.interpolate(pooled, x.shape[2:], mode="bilinear", align_corners=False))
        return self.decoder(torch.cat(maps, 1))[:, 0]
