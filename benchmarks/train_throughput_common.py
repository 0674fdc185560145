"""The common way to feed a semi-supervised loop, to compare with: PIL and torchvision transforms in a DataLoader."""

from __future__ import annotations

import io
from collections.abc import Iterator

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from abaw.data.face_set import FaceSet
from abaw.data.views import STRONG, WEAK, View
from abaw.models.image_input import ImageInput
from abaw.protocol.classes import NUM_EXPRESSIONS
from abaw.semisup.image_method import ImageViews

_ENDLESS = 10**9


def transform(view: View, image: ImageInput) -> transforms.Compose:
    """The changes of a view, as far as torchvision has them, one image at a time."""
    return transforms.Compose(
        [
            transforms.Resize((image.size, image.size)),
            transforms.RandomHorizontalFlip(view.flip),
            transforms.RandomAffine(view.degrees, (view.shift, view.shift), (1 - view.scale, 1 + view.scale)),
            transforms.ColorJitter(view.brightness, view.contrast, view.saturation),
            transforms.RandomGrayscale(view.grey),
            transforms.ToTensor(),
            transforms.RandomErasing(view.erase, scale=(0.02, 0.2), ratio=(0.5, 2.0), value="random"),
            transforms.Normalize(image.mean, image.std),
        ]
    )


class Groups(Dataset[tuple[Tensor, int, Tensor, Tensor]]):
    """A labelled face and U unlabelled ones, drawn at random.

    An item is the strong view of the labelled face, (3, S, S), its label, and the weak and strong views of the others,
    (U, 3, S, S) each.
    """

    def __init__(self, faces: FaceSet, image: ImageInput, ratio: int) -> None:
        self._faces = faces
        self._ratio = ratio
        self._weak, self._strong = transform(WEAK, image), transform(STRONG, image)

    def __len__(self) -> int:
        return _ENDLESS

    def __getitem__(self, _: int) -> tuple[Tensor, int, Tensor, Tensor]:
        index, *others = torch.randint(len(self._faces), (1 + self._ratio,)).tolist()
        unlabelled = [self._picture(other) for other in others]
        return (
            self._strong(self._picture(index)),
            int(self._faces.labels[index]),
            torch.stack([self._weak(picture) for picture in unlabelled]),
            torch.stack([self._strong(picture) for picture in unlabelled]),
        )

    def _picture(self, index: int) -> Image.Image:
        return Image.open(io.BytesIO(self._faces.jpeg(index))).convert("RGB")


def common_views(
    faces: FaceSet, image: ImageInput, batch_size: int, ratio: int, workers: int, device: torch.device
) -> Iterator[ImageViews]:
    """Endless views of batches, on the device, made by worker processes that live as long as the iterator."""
    on_gpu = device.type == "cuda"
    loader = DataLoader(Groups(faces, image, ratio), batch_size, num_workers=workers, pin_memory=on_gpu)

    def moved(images: Tensor) -> Tensor:
        flat = images.reshape(-1, *images.shape[-3:]).to(device, non_blocking=True)
        return flat.contiguous(memory_format=torch.channels_last)

    for labelled, labels, weak, strong in loader:
        on_device = labels.to(device, non_blocking=True)
        targets = torch.nn.functional.one_hot(on_device, NUM_EXPRESSIONS).float()
        yield ImageViews(moved(labelled), on_device, targets, moved(weak), moved(strong), ())
