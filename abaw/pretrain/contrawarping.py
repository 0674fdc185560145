"""ContraWarping (arXiv 2303.09034): two views of a face agree, and differ from the same face with another expression.

B batch, K warps per face, D width of the projection. Every static method can start from the resulting backbone.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from abaw.core.seed import derive_seed
from abaw.data.images import FaceImages
from abaw.data.views import View
from abaw.learning.method import Method, StepResult
from abaw.models.architecture import Architecture
from abaw.models.image_input import ImageInput
from abaw.models.static import build_static
from abaw.pretrain.local_warp import warp_at_random
from abaw.pretrain.settings import ContraWarpingSettings

GLOBAL = View(degrees=15.0, scale=0.15, shift=0.08, brightness=0.4, contrast=0.4, saturation=0.4, grey=0.2)
"""Changes of the whole image that keep the expression: position, size, rotation and light."""


class FaceViews(NamedTuple):
    """Standardised views. first, second: global views, (B, 3, S, S) each; warped: of warped faces, (K, B, 3, S, S)."""

    first: Tensor
    second: Tensor
    warped: Tensor
    ids: tuple[str, ...]


def _mlp(width_in: int, hidden: int, width_out: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(width_in, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, width_out)
    )


class Projected(nn.Module):
    """A backbone and a projection of its features: images (B, 3, S, S) -> (B, D)."""

    def __init__(self, backbone: nn.Module, feature_dim: int, projection: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.feature_dim = feature_dim
        self.project = _mlp(feature_dim, 2 * projection, projection)

    def forward(self, images: Tensor) -> Tensor:
        projected: Tensor = self.project(self.backbone(images))
        return projected


class ContraWarping(Method[FaceImages, FaceViews]):
    """`L = L_BYOL + λ · InfoNCE(view, other view of the face; K warps of the face as negatives)`, in both directions.

    As in BYOL (arXiv 2006.07733), the target network is the running average of the model (`train.ema_decay`), and only
    the model is followed by a predictor. Warped faces go through the target and get no gradient.
    """

    model: Projected

    def __init__(self, model: Projected, image: ImageInput, settings: ContraWarpingSettings) -> None:
        super().__init__()
        self.model = model
        self.settings = settings
        self._image = image
        self.predict = _mlp(settings.projection, 2 * settings.projection, settings.projection)

    def views(self, batch: FaceImages, generator: torch.Generator) -> FaceViews:
        def view(images: Tensor) -> Tensor:
            return self._image.normalise(GLOBAL(images, generator))

        images = batch.images
        first, second = view(images), view(images)
        count = self.settings.warped
        if not count:
            return FaceViews(first, second, images.new_empty((0, *images.shape), dtype=torch.float32), batch.ids)
        # Warped before any movement, while the points are known; then moved like other views, or movement would give
        # them away.
        warped = warp_at_random(images.float().repeat(count, 1, 1, 1), self.settings.warp, generator)
        warped = view(warped.round().to(torch.uint8))
        return FaceViews(first, second, warped.view(count, *images.shape), batch.ids)

    def step(self, batch: FaceViews) -> StepResult:
        count = len(batch.first)
        both = torch.cat([batch.first, batch.second])
        # Points on the unit sphere, (2B, D): first views, then second views; and their partners.
        online = F.normalize(self.predict(self.model(both)).float(), dim=1)
        target, warped = self._targets(both, batch.warped)
        partners = target.roll(count, 0)
        zero = online.new_zeros(())
        byol = zero
        if self.settings.byol_weight:
            byol = (2 - 2 * (online * partners).sum(1)).mean()
        logs, contrast = {"loss/byol": byol, "spread": target.std(0).mean()}, zero
        if self.settings.warp_weight:
            logits = self._similarities(online, target, warped)
            labels = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
            contrast = F.cross_entropy(logits / self.settings.temperature, labels)
            logs |= {"loss/contrast": contrast, "told_apart": (logits.argmax(1) == 0).float().mean()}
        return StepResult(self.settings.byol_weight * byol + self.settings.warp_weight * contrast, logs)

    @torch.no_grad()
    def _targets(self, both: Tensor, warped: Tensor) -> tuple[Tensor, Tensor]:
        """The target network's unit projections of the views, (2B, D), and of the warped faces, (K, B, D)."""
        projected = self.average(torch.cat([both, *warped]))
        projected = F.normalize(projected.float(), dim=1)
        return projected[: len(both)], projected[len(both) :].view(*warped.shape[:2], projected.shape[1])

    def _similarities(self, online: Tensor, target: Tensor, warped: Tensor) -> Tensor:
        """Cosines (2B, 1 + negatives): first with the other view of the face, then with the negatives."""
        count = len(online) // 2
        columns = [(online * target.roll(count, 0)).sum(1, keepdim=True)]
        if len(warped):
            columns.append(torch.einsum("vbd,kbd->vbk", online.view(2, count, -1), warped).flatten(0, 1))
        if self.settings.negatives != "warps":
            others = online @ target.T
            same = torch.eye(count, dtype=torch.bool, device=online.device).repeat(2, 2)
            columns.append(others.masked_fill(same, -torch.inf))
        return torch.cat(columns, dim=1)


def build_contrawarping(
    architecture: Architecture,
    image: ImageInput,
    settings: ContraWarpingSettings,
    *,
    seed: int,
    pretrained: bool = False,
) -> ContraWarping:
    """The method on a backbone with weights drawn from `seed`. Raises ConfigError as `build_static` does."""
    # A backbone has no classes: the head of this one class is not used.
    start = build_static(architecture, 1, image.size, seed=seed, pretrained=pretrained)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "projection"))
        method = ContraWarping(Projected(start.backbone, start.feature_dim, settings.projection), image, settings)
    # Channels last, as in training the static model.
    return method.to(memory_format=torch.channels_last)
