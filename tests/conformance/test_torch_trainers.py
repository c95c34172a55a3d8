"""What trainers around torch ask of an optimizer, with the real ones, where they are installed: as docs/torch.md shows it.

Each trains a small network twice, with an optimizer of torch and with ours, to the same weights.
"""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

import thalweg as tw
import thalweg.torch

Optimizer = thalweg.torch.Optimizer
Tensor = torch.Tensor
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # their imports take seconds, and warn
X = torch.linspace(-1, 1, 128, dtype=torch.float32).reshape(32, 4)
Y = X.square().sum(1, keepdim=True)


class Net(torch.nn.Module):
    """A network whose answer holds its loss, as Hugging Face's models do."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))

    def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        y = self.layers(x)
        return {"loss": torch.nn.functional.mse_loss(y, labels), "logits": y}


def near(mine: torch.nn.Module, theirs: torch.nn.Module) -> None:
    start = Net().state_dict()
    for (n, p), q in zip(mine.state_dict().items(), theirs.state_dict().values(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)
        assert not torch.equal(p, start[n])


def test_hugging_faces_trainer(tmp_path: Path) -> None:
    """Class and keywords; groups with and without decay, its scheduler, clipping, and a checkpoint that it resumes."""
    transformers = pytest.importorskip("transformers")
    rows = [{"x": x, "labels": y} for x, y in zip(X, Y, strict=True)]

    def train(cls: Any, keywords: dict[str, Any], folder: Path, **go_on: Any) -> Any:
        settings = transformers.TrainingArguments(
            str(folder), max_steps=8, per_device_train_batch_size=8, weight_decay=0.1, warmup_steps=2, save_steps=4,
            learning_rate=0.02, use_cpu=True, report_to=[], disable_tqdm=True, remove_unused_columns=False,
        )  # fmt: skip
        run = transformers.Trainer(
            Net(), settings, train_dataset=rows, optimizer_cls_and_kwargs=(cls, keywords)
        )
        run.train(**go_on)
        return run

    given = {"lr": 0.02, "betas": (0.8, 0.95)}
    ours = train(Optimizer, {"rule": tw.AdamW, **given}, tmp_path / "ours")
    theirs = train(torch.optim.AdamW, given, tmp_path / "theirs")
    near(ours.model, theirs.model)
    assert {g["weight_decay"] for g in ours.optimizer.param_groups} == {0.1, 0.0}
    saved = tmp_path / "ours" / "checkpoint-4"
    again = train(
        Optimizer, {"rule": tw.AdamW, **given}, tmp_path / "ours", resume_from_checkpoint=str(saved)
    )
    near(again.model, ours.model)


def test_accelerate() -> None:
    """Its wrapper of optimizers, with accumulation, clipping and a scheduler."""
    accelerate = pytest.importorskip("accelerate")

    def train(begin: Any) -> torch.nn.Module:
        accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
        net = Net()
        opt = begin(net.parameters())
        plan = torch.optim.lr_scheduler.LambdaLR(opt, lambda k: 1 / (k + 1))
        net, opt, plan = accelerator.prepare(net, opt, plan)
        for k in range(12):
            with accelerator.accumulate(net):
                rows = slice(8 * (k % 4), 8 * (k % 4) + 8)
                accelerator.backward(net(X[rows], Y[rows])["loss"])
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(net.parameters(), 0.5)
                opt.step()
                plan.step()
                opt.zero_grad()
        kept = copy.deepcopy(opt.state_dict())
        opt.load_state_dict(kept)
        return accelerator.unwrap_model(net)

    near(
        train(lambda p: Optimizer(p, tw.Adam(lr=0.05))),
        train(lambda p: torch.optim.Adam(p, lr=0.05)),
    )


def test_lightning(tmp_path: Path) -> None:
    """Its loop runs the closure inside step; a scheduler, clipping, and a checkpoint that it resumes."""
    lightning = pytest.importorskip("lightning.pytorch")

    class Module(lightning.LightningModule):
        def __init__(self, begin: Any) -> None:
            super().__init__()
            self.net, self.begin = Net(), begin

        def training_step(self, batch: Any, _: int) -> Tensor:
            return self.net(*batch)["loss"]

        def configure_optimizers(self) -> Any:
            opt = self.begin(self.parameters())
            return {"optimizer": opt, "lr_scheduler": torch.optim.lr_scheduler.ExponentialLR(opt, 0.5)}

    def train(begin: Any, epochs: int, saved: Path, before: Path | None = None) -> torch.nn.Module:
        module = Module(begin)
        loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, Y), 8)
        run = lightning.Trainer(
            max_epochs=epochs, accelerator="cpu", gradient_clip_val=0.5, logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
        )  # fmt: skip
        run.fit(module, loader, ckpt_path=before)
        run.save_checkpoint(saved)
        return module.net

    def ours(p: Any) -> torch.optim.Optimizer:
        return Optimizer(p, tw.RMSprop(lr=0.01))

    whole = train(ours, 3, tmp_path / "whole")
    near(whole, train(lambda p: torch.optim.RMSprop(p, lr=0.01), 3, tmp_path / "theirs"))
    train(ours, 2, tmp_path / "part")
    near(train(ours, 3, tmp_path / "rest", tmp_path / "part"), whole)
