"""The parts of `spatial`: feedback on a problem with a known answer, fine-tuning, debiased labels."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from abaw.semisup.methods.spatial.feedback import RealStep, Trial, balanced_loss, own_label_loss
from abaw.semisup.methods.spatial.method import Spatial
from tests.semisup.batches import CLASSES, Fixed, faces, make, train_images, views


class Line(nn.Module):
    """Two classes from one number: logits (−w·x, w·x). With w > 0 the class is the sign of x."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))
        self.norm = nn.BatchNorm1d(2, affine=False)

    def forward(self, points: Tensor) -> Tensor:
        return torch.stack([-self.weight * points, self.weight * points], dim=1)


POINTS = torch.tensor([-2.0, -1.0, 1.0, 2.0])
LABELS = torch.tensor([0, 0, 1, 1])


@pytest.mark.parametrize(("pseudo", "sign"), [(LABELS, 1), (1 - LABELS, -1)])
def test_correct_labels_have_feedback_above_zero_and_wrong_ones_below(pseudo: Tensor, sign: int) -> None:
    student = Line(0.1)
    loss = F.cross_entropy(student(POINTS), pseudo)
    raw = float(Trial(0.1, scaled=True).raw(student, loss, POINTS, LABELS))
    assert raw * sign > 0
    # The trial moved the only weight by exactly ±0.1.
    moved = F.cross_entropy(Line(0.1 + 0.1 * sign)(POINTS), LABELS)
    assert raw == pytest.approx(float(F.cross_entropy(Line(0.1)(POINTS), LABELS) - moved), rel=1e-4)


def test_feedback_does_not_favour_the_frequent_class() -> None:
    """With equal class weights, labels that help nine samples of one class and harm one of another are no gain."""
    points = torch.tensor([1.0] * 9 + [1.0])
    labels = torch.tensor([1] * 9 + [0])
    student = Line(0.0)
    loss = F.cross_entropy(student(points), torch.ones(10, dtype=torch.long))
    assert abs(float(Trial(0.1, scaled=True).raw(student, loss, points, labels))) < 0.01
    plain = F.cross_entropy(Line(0.0)(points), labels) - F.cross_entropy(Line(0.1)(points), labels)
    assert float(plain) > 0.05


def test_measuring_feedback_changes_nothing() -> None:
    torch.manual_seed(0)
    method = make("spatial", feedback=True)
    assert isinstance(method, Spatial) and method.feedback is not None
    batch = views(method)
    loss = method.model(batch.labelled).square().mean()
    before = {name: value.clone() for name, value in method.model.state_dict().items()}
    method.feedback(method.model, loss, batch.labelled, batch.labels)
    assert all(torch.equal(value, before[name]) for name, value in method.model.state_dict().items())
    assert all(weight.grad is None for weight in method.model.parameters())


def test_feedback_is_centred_and_bounded() -> None:
    feedback, student = Trial(0.1, scaled=True), Line(0.1)
    values = []
    for index in range(200):
        pseudo = LABELS if index % 2 else 1 - LABELS
        values.append(float(feedback(student, F.cross_entropy(student(POINTS), pseudo), POINTS, LABELS)))
    assert abs(sum(values[100:]) / 100) < 0.1
    assert all(abs(value) <= 3 for value in values)
    assert all((value > 0) == bool(index % 2) for index, value in enumerate(values) if index > 20)


def test_centred_feedback_keeps_its_unit() -> None:
    scaled, centred = Trial(0.1, scaled=True), Trial(0.1, scaled=False)
    for index in range(20):
        student, pseudo = Line(0.1), LABELS if index % 2 else 1 - LABELS
        loss = F.cross_entropy(student(POINTS), pseudo)
        in_deviations, in_nats = (float(each(student, loss, POINTS, LABELS)) for each in (scaled, centred))
        raw = float(centred.raw(student, loss, POINTS, LABELS))
    assert in_deviations == pytest.approx(in_nats / float(centred.deviation.value), rel=1e-5)
    assert in_nats > 0 and raw == pytest.approx(in_nats, rel=0.5)


@pytest.mark.parametrize(("form", "h"), [("scaled", -3.0), ("centred", -3.0), ("scaled", 0.0), ("centred", 0.0)])
def test_feedback_changes_the_weight_of_the_consistency_only_when_it_is_scaled(form: str, h: float) -> None:
    """The teacher predicts class 0 in every view; its label of all faces is class 1, and half of them are used."""
    method = make("spatial", Fixed(torch.tensor([1.0] + [0.0] * 7)), feedback=form, unlabelled_weight=2.0)
    assert isinstance(method, Spatial) and method.tutor is not None
    batch = views(method)
    pseudo, mask = torch.ones(16, dtype=torch.long), torch.arange(16) < 8
    logits = method.tutor(batch.strong)
    consistency, own = F.cross_entropy(logits, pseudo) / 2, F.cross_entropy(logits, torch.zeros_like(pseudo))
    unlabelled = (2 + h) * consistency if form == "scaled" else 2 * consistency + h * own
    expected = method.labelled_loss(method.tutor(batch.labelled), batch.targets) + unlabelled
    assert float(method._tutor_loss(batch, pseudo, mask, torch.tensor(h))) == pytest.approx(float(expected), rel=1e-5)


def real_step(pseudo: Tensor, rate: float = 0.1) -> tuple[Line, Line, Tensor, Tensor]:
    """One step of a student on a teacher's labels of the points: both, the teacher's loss (λ_u = 0) and h."""
    student, teacher = Line(0.1), Line(0.5)
    turned = POINTS * (1 if torch.equal(pseudo, LABELS) else -1)  # the teacher says the opposite of turned points
    feedback, optimizer = RealStep(), torch.optim.SGD(student.parameters(), lr=rate)
    lesson = feedback.teach(student, teacher, POINTS, LABELS, turned, POINTS)
    F.cross_entropy(student(POINTS), lesson.weak.detach().argmax(1)).backward()
    optimizer.step()
    return student, teacher, *feedback.teacher_loss(student, lesson, POINTS, LABELS, weight=0.0)


@pytest.mark.parametrize(("pseudo", "sign"), [(LABELS, 1), (1 - LABELS, -1)])
def test_feedback_of_the_real_step_is_raw_and_has_the_right_sign(pseudo: Tensor, sign: int) -> None:
    """Right labels: h > 0, and the teacher's step makes it more confident; wrong ones: the reverse."""
    student, teacher, loss, h = real_step(pseudo)
    moved = float(student.weight.detach())
    assert (moved - 0.1) * sign > 0
    before, after = (F.cross_entropy(Line(weight)(POINTS), LABELS) for weight in (0.1, moved))
    assert float(h) == pytest.approx(float(before - after), rel=1e-4) and float(h) * sign > 0
    assert float(loss) == pytest.approx(float(h * own_label_loss(teacher(POINTS))), rel=1e-4)
    assert teacher.weight.grad is None
    loss.backward()
    assert teacher.weight.grad is not None and float(teacher.weight.grad) * sign < 0


def test_the_student_of_face2exp_learns_every_hard_label_and_the_teacher_soft_ones() -> None:
    as_released = {"feedback": "face2exp", "threshold": "fixed", "fixed_threshold": 0.0}
    method = make("spatial", Fixed(torch.tensor([0.2] + [0.0] * 7)), label_smoothing=0.0, **as_released)
    assert isinstance(method, Spatial) and method.tutor is not None
    batch = views(method)
    logits = torch.tensor([0.2] + [0.0] * 7).log_softmax(0)
    assert float(method(batch).loss) == pytest.approx(-float(logits[0]), rel=1e-5)
    second = method.follow_up(batch)
    assert second is not None and float(second.logs["feedback"]) == 0  # the student has not stepped
    soft = -float((logits.exp() * logits).sum())
    labelled = float(F.cross_entropy(logits.expand(8, -1), batch.labels))
    assert float(second.loss) == pytest.approx(labelled + soft, rel=1e-5)
    assert method.follow_up(batch) is None


def test_the_student_of_face2exp_learns_debiased_labels_above_the_threshold() -> None:
    network = Fixed(torch.tensor([1.0] + [0.0] * 7))
    unsure = make("spatial", network, feedback="face2exp", threshold="fixed", fixed_threshold=0.9)
    assert float(unsure(views(unsure)).loss) == 0
    debiased = make("spatial", network, feedback="face2exp", threshold="fixed", fixed_threshold=0.0, debias=1.0)
    assert isinstance(debiased, Spatial)
    debiased.marginal.value.copy_(torch.tensor([0.93] + [0.01] * 7))
    expected = -float(torch.tensor([1.0] + [0.0] * 7).log_softmax(0)[1])  # class 0 is predicted too often
    assert float(debiased(views(debiased)).loss) == pytest.approx(expected, rel=1e-5)


def test_measuring_the_balanced_loss_changes_no_statistics() -> None:
    method = make("spatial", feedback="face2exp")
    batch = views(method)
    before = {name: value.clone() for name, value in method.model.state_dict().items()}
    assert not balanced_loss(method.model, batch.labelled, batch.labels).requires_grad
    assert all(torch.equal(value, before[name]) for name, value in method.model.state_dict().items())


def test_without_used_labels_there_is_no_feedback() -> None:
    student = Line(0.1)
    loss = (student(POINTS) * 0).sum()
    assert float(Trial(0.1, scaled=True).raw(student, loss, POINTS, LABELS)) == pytest.approx(0, abs=1e-6)


def test_the_tutor_is_a_separate_network_that_starts_from_the_model() -> None:
    method = make("spatial", feedback=True)
    assert isinstance(method, Spatial) and method.tutor is not None
    student, tutor = dict(method.model.named_parameters()), dict(method.tutor.named_parameters())
    assert student.keys() == tutor.keys()
    assert all(torch.equal(student[name], tutor[name]) and student[name] is not tutor[name] for name in student)


def test_the_last_steps_use_only_labelled_faces() -> None:
    settings = {"finetune": 0.2, "label_smoothing": 0.0, "feedback": False}
    method = make("spatial", Fixed(torch.tensor([3.0] + [0.0] * 7)), steps=10, **settings)
    batch = train_images()._replace(labelled=faces([0] * 7 + [1]))
    unlabelled = []
    for _ in range(10):
        seen = views(method, batch)
        unlabelled.append("loss/unlabelled" in method(seen).logs)
        method.update(seen)
    assert unlabelled == [True] * 8 + [False] * 2
    logits = torch.tensor([3.0] + [0.0] * 7).log_softmax(0)
    expected = -(7 * logits[0] + logits[1]) / 8
    assert float(method(views(method, batch)).loss) == pytest.approx(float(expected), rel=1e-5)


def test_debiased_labels_of_a_biased_teacher() -> None:
    """The teacher predicts .55 for class 0 and .45 for class 1 for every face; debiased, both are equally likely."""
    logits = torch.full((CLASSES,), -9.0)
    logits[0], logits[1] = 0.2, 0.0
    for debias, close in ((0.0, False), (1.0, True)):
        method = make("spatial", Fixed(logits), debias=debias, momentum=0.5, threshold="fixed", fixed_threshold=0.0)
        assert isinstance(method, Spatial)
        for _ in range(50):
            method(views(method))
        probs = (logits - debias * method.marginal.log).softmax(0)
        assert bool((probs[0] - probs[1]).abs() < 1e-3) == close
