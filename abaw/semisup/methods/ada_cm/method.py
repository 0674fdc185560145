"""Ada-CM (arXiv 2203.12341): a margin per class from labelled faces, and a contrastive loss for faces below it."""

from __future__ import annotations

from torch import Tensor

from abaw.semisup.losses import masked_cross_entropy
from abaw.semisup.margin_method import MarginMethod
from abaw.semisup.methods.ada_cm.settings import AdaCMSettings


class AdaCM(MarginMethod[AdaCMSettings]):
    """The mean prediction of two weak views is the pseudo-label of the strong one; L_u is a mean over the batch."""

    def prediction(self, first: Tensor, second: Tensor) -> Tensor:
        return (first.softmax(1) + second.softmax(1)) / 2

    def unlabelled_loss(self, strong: Tensor, probs: Tensor, mask: Tensor) -> Tensor:
        return masked_cross_entropy(strong, probs.argmax(1), mask)


METHOD = AdaCM
