"""What several benchmarks train."""


def resnet_shapes() -> list[tuple[int, ...]]:
    """The parameters of a ResNet-50: 161 tensors, 25.6 M weights."""
    made: list[tuple[int, ...]] = [(64, 3, 7, 7), (64,), (64,)]
    inside = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            for out, into, size in ((width, inside, 1), (width, width, 3), (4 * width, width, 1)):
                made += [(out, into, size, size), (out,), (out,)]
            if block == 0:
                made += [(4 * width, inside, 1, 1), (4 * width,), (4 * width,)]
            inside = 4 * width
    return [*made, (1000, 2048), (1000,)]
