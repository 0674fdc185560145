"""Ada-CM (arXiv 2203.12341): a margin per class from the labelled faces; faces below it learn by contrast."""

from __future__ import annotations

from torch import Tensor

from abaw.semisup.losses import masked_cross_entropy
from abaw.semisup.margin_method import MarginMethod
from abaw.semisup.methods.ada_cm.settings import AdaCMSettings


class AdaCM(MarginMethod[AdaCMSettings]):
    """The mean prediction over two weak views gives a pseudo-label for the strong one; the loss is a mean over all."""

    def prediction(self, first: Tensor, second: Tensor) -> Tensor:
        return (first.softmax(1) + second.softmax(1)) / 2

    def unlabelled_loss(self, strong: Tensor, probs: Tensor, mask: Tensor) -> Tensor:
        return masked_cross_entropy(strong, probs.argmax(1), mask)


METHOD = AdaCM
