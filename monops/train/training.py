"""A plain loop, and a state that holds all that the next epoch depends on."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from monops import checkpoint
from monops.data import Dataset
from monops.errors import CheckpointError, ConvergenceWarning, MonopsError, NonFiniteError, OptionError, StepSizeError
from monops.models import METHODS, MODELS, Classifier
from monops.result import Status
from monops.splitting import StepSize
from monops.train.options import DTYPES, Options, merge

_REPORT_EVERY = 20  # batches between two looks at the loss, each of which waits for the device
_TEST_BATCH = 1000

Record = dict[str, Any]


class Training:
    """A classifier in training, with everything that its next epoch depends on.

    Args:
        options: what determines the run.

    Attributes:
        model: the classifier.
        epoch: how many epochs are done.
        curve: one record an epoch: loss, accuracies, mean steps of the solves, step size, seconds.
        seconds: the time spent on epochs so far, before and after any interruption.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.model = _new_model(options)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=options.rate)
        self.generator = torch.Generator().manual_seed(options.seed)
        self.epoch = 0
        self.curve: list[Record] = []
        self.seconds = 0.0

    @classmethod
    def resume(cls, path: str | Path, **changes: Any) -> "Training":
        """The training that `save` wrote to `path`, as it was.

        Args:
            path: the checkpoint.
            changes: options that the caller wants; all must be as saved, but for `epochs`, `device`
                and `threads`.

        Raises:
            CheckpointError: `save` did not write the file, or its tensors do not fit the model.
            OptionError: the options contradict the run.
        """
        saved = checkpoint.load(path)
        try:
            training = cls(merge(saved["options"], changes, path))
            checkpoint.load_weights(training.model, saved["model"], path)
            training.optimizer.load_state_dict(saved["optimizer"])
            training.generator.set_state(saved["generator"])
            training._use_step(saved["step"])
            training.epoch, training.curve = int(saved["epoch"]), list(saved["curve"])
            training.seconds = float(saved["seconds"])
        except (AttributeError, KeyError, TypeError, RuntimeError) as error:
            raise CheckpointError(f"{path}: got no state of a training ({error!r})") from error
        if training.options.epochs < training.epoch:
            raise OptionError(
                f"epochs: got {training.options.epochs}, wanted at least the {training.epoch} that {path} has behind it"
            )
        return training

    def save(self, path: str | Path) -> None:
        """Write the state to `path`, at one stroke; its folder is made where there is none."""
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CheckpointError(f"{path}: its folder cannot be made: {error}") from error
        content = {
            "options": asdict(self.options),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "step": self.step,
            "epoch": self.epoch,
            "curve": self.curve,
            "seconds": self.seconds,
        }
        checkpoint.save(path, content)

    @property
    def step(self) -> StepSize:
        """The step size of the layer's splitting method as it is now."""
        return self.model.layer.method.step

    @property
    def parameters(self) -> int:
        """How many numbers the model learns."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @contextmanager
    def threads(self) -> Iterator[None]:
        """Within this context torch computes with the run's number of CPU threads."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.options.threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def on_device(self, data: Dataset) -> Dataset:
        """`data` with the run's device and dtype."""
        return data.to(self.options.device, DTYPES[self.options.dtype])

    def run(
        self,
        data: Dataset,
        path: str | Path | None = None,
        *,
        on_batch: Callable[[Record], None] = lambda _: None,
        on_epoch: Callable[[Record], None] = lambda _: None,
    ) -> None:
        """Train until `options.epochs` epochs are done, saving the state to `path` after each.

        Args:
            data: what to train on; on any device.
            path: the checkpoint, or None for none.
            on_batch: called now and then within an epoch, with its means so far.
            on_epoch: called with the record of each epoch, once the state is saved.

        Raises:
            NonFiniteError: a loss, solve or weight is not finite. The message names epoch and
                batch; the checkpoint of the last good epoch stays as it is.
        """
        data = self.on_device(data)
        with self.threads(), warnings.catch_warnings():
            # What is not finite ends the training with an error, which says more.
            warnings.filterwarnings("ignore", ".*NaN or infinity", ConvergenceWarning)
            while self.epoch < self.options.epochs:
                record = self._run_epoch(data, on_batch)
                self.epoch += 1
                self.seconds += record["seconds"]
                self.curve.append(record)
                if path is not None:
                    self.save(path)
                on_epoch(record)

    @torch.no_grad()
    def accuracy(self, x: Tensor, y: Tensor) -> float:
        """The share of images x (n, *shape) which the model classifies as y (n,)."""
        self.model.eval()
        right = torch.zeros((), dtype=torch.int64, device=y.device)
        for images, labels in zip(x.split(_TEST_BATCH), y.split(_TEST_BATCH), strict=True):
            right += (self._logits(images).argmax(1) == labels).sum()
        return int(right) / len(y)

    def _run_epoch(self, data: Dataset, on_batch: Callable[[Record], None]) -> Record:
        begin = time.perf_counter()
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.rate * 0.1 ** (self.epoch // self.options.decay_every)
        order = torch.randperm(len(data.train_y), generator=self.generator)
        batches = order.to(data.train_y.device).split(self.options.batch)
        sums = _Sums(self.epoch + 1, len(batches), data.train_x)
        for index, rows in enumerate(batches):
            try:
                if index % self.options.tune_every == 0:
                    self._tune(data)
                self._learn(data.train_x[rows], data.train_y[rows], sums)
            except MonopsError as error:
                sums.require_finite()  # an earlier batch may be to blame
                raise type(error)(sums.place(index, str(error))) from error
            if index % _REPORT_EVERY == 0:
                sums.require_finite()
                on_batch(sums.means() | {"progress": (index + 1) / len(batches)})
        sums.require_finite()
        self._require_finite_weights()
        accuracy = self.accuracy(data.test_x, data.test_y)
        record = sums.means() | {"test_accuracy": accuracy, "step": self.step}
        return record | {"seconds": time.perf_counter() - begin}

    def _tune(self, data: Dataset) -> None:
        """Tune an "auto" step, always on the same images: so weights and step alone decide."""
        if self.options.step == "auto":
            images = data.train_x[: self.options.batch]
            self.model.layer.tune(self.model.inputs(images))

    def _logits(self, x: Tensor) -> Tensor:
        """The model's output; an "auto" step that the weights have outgrown is tuned anew."""
        try:
            return self.model(x)
        except StepSizeError:
            if self.options.step != "auto":
                raise
            self._use_step("auto")  # from the spectral facts, as no step near this one need do
            return self.model(x)

    def _learn(self, x: Tensor, y: Tensor, sums: "_Sums") -> None:
        logits = self._logits(x)
        loss = functional.cross_entropy(logits, y)
        sums.add_images(loss.detach(), (logits.argmax(1) == y).sum(), len(y))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        forward = self.model.layer.last
        assert forward is not None
        backward = forward.backward
        assert backward is not None
        if backward.status is Status.NON_FINITE:
            raise NonFiniteError("NaN or infinity in the backward solve")
        self.optimizer.step()
        sums.add_steps(forward.steps, backward.steps)

    def _use_step(self, step: StepSize) -> None:
        self.model.layer.method = self.model.layer.method.with_step(step)

    def _require_finite_weights(self) -> None:
        for name, parameter in self.model.named_parameters():
            if not torch.isfinite(parameter).all():
                raise NonFiniteError(f"epoch {self.epoch + 1}, last batch: {name} is no longer finite")


class _Sums:
    """Sums over an epoch's batches; those of tensors stay on their device until they are read."""

    def __init__(self, epoch: int, batches: int, like: Tensor) -> None:
        self.epoch = epoch
        self.losses = like.new_zeros(batches)
        self.images = like.new_zeros(batches)
        self.right = like.new_zeros((), dtype=torch.int64)
        self.batches = self.forward_steps = self.backward_steps = 0

    def add_images(self, loss: Tensor, right: Tensor, images: int) -> None:
        self.losses[self.batches] = loss
        self.images[self.batches] = images
        self.right += right

    def add_steps(self, forward: int, backward: int) -> None:
        self.forward_steps += forward
        self.backward_steps += backward
        self.batches += 1

    def means(self) -> Record:
        images = self.images.sum()
        loss, accuracy = torch.stack([self.losses @ self.images, self.right]).div(images).tolist()
        return {
            "epoch": self.epoch,
            "loss": loss,
            "train_accuracy": accuracy,
            "forward_steps": self.forward_steps / self.batches,
            "backward_steps": self.backward_steps / self.batches,
        }

    def require_finite(self) -> None:
        bad = torch.isfinite(self.losses).logical_not().nonzero().flatten().tolist()
        if bad:
            reason = f"the loss is {self.losses[bad[0]].item()}"
            raise NonFiniteError(self.place(bad[0], reason))

    def place(self, batch: int, reason: str) -> str:
        return (
            f"epoch {self.epoch}, batch {batch} of 0 … {len(self.losses) - 1}: {reason}; "
            f"the state after epoch {self.epoch - 1} is the last good one"
        )


def _new_model(options: Options) -> Classifier:
    """The model with weights that follow from the seed alone, whatever the device or dtype."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        method = METHODS[options.method](step=options.step)
        model = MODELS[options.data, options.model](method, tol=options.tol, max_steps=options.max_steps)
    return model.to(options.device, DTYPES[options.dtype])
