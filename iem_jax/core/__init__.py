"""The paper's algorithm on arrays of one picture, and many pictures side by side.

Here belongs what SPEC sections 2 to 4 define: pictures to channels, inpainter, objective and its gradient, mask
update, the loop, early finish, batches. `solver` reads as the algorithm. Knows nothing of files;
may use `config` alone.
"""
