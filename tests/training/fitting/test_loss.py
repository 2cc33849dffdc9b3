"""The loss by hand, its mask, its weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from overread.training.fitting.loss import masked_bce, positive_weights

NAN = float("nan")


def test_by_hand():
    # Stated: (2, present, weight 3), (-1, absent), (0, present, weight 1); the fourth is not stated.
    logits = torch.tensor([[2.0, 0.0], [-1.0, 5.0]])
    truth = torch.tensor([[1.0, 1.0], [0.0, NAN]])
    each = [3 * np.log1p(np.exp(-2)), np.log1p(np.exp(-1)), np.log(2)]
    assert float(masked_bce(logits, truth, torch.tensor([3.0, 1.0]))) == pytest.approx(sum(each) / 3, rel=1e-6)


def test_what_is_not_stated_has_no_gradient():
    logits = torch.tensor([[2.0, 0.3], [-1.0, 500.0]], requires_grad=True)
    masked_bce(logits, torch.tensor([[1.0, NAN], [0.0, NAN]]), torch.tensor([3.0, 1.0])).backward()
    assert torch.equal(logits.grad[:, 1], torch.zeros(2))
    expected = [3 * (1 / (1 + np.exp(-2)) - 1) / 2, 1 / (1 + np.exp(1)) / 2]
    torch.testing.assert_close(logits.grad[:, 0], torch.tensor(expected, dtype=torch.float32))


def test_a_batch_that_states_nothing_has_no_loss_and_no_gradient():
    logits = torch.randn(3, 2, requires_grad=True)
    loss = masked_bce(logits, torch.full((3, 2), NAN), torch.ones(2))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros(3, 2))


def test_the_losses_of_the_parts_of_a_batch_have_that_of_the_whole_as_their_sum():
    logits, weights = torch.randn(5, 3), torch.tensor([3.0, 1.0, 2.0])
    truth = torch.tensor([[1, 0, NAN], [NAN, NAN, NAN], [0, 1, 1], [NAN, 1, NAN], [0, 0, 1]])
    whole = masked_bce(logits, truth, weights)
    parts = [masked_bce(logits[part], truth[part], weights, 9) for part in (slice(0, 2), slice(2, 5))]
    torch.testing.assert_close(sum(parts), whole)
    assert masked_bce(logits[1:2], truth[1:2], weights, 0).item() == 0


def test_bfloat16_logits_are_taken_in_float32():
    logits = torch.tensor([[1.0, -2.0]], dtype=torch.bfloat16)
    loss = masked_bce(logits, torch.tensor([[1.0, 0.0]]), torch.ones(2))
    assert loss.dtype == torch.float32
    assert torch.equal(loss, masked_bce(logits.float(), torch.tensor([[1.0, 0.0]]), torch.ones(2)))


def test_positive_weights_by_hand():
    truth = np.full((12, 3), np.nan, np.float32)
    truth[:, 0] = [1, 1] + [0] * 10  # 10 absent, 2 present: 5
    truth[:10, 1] = [1] + [0] * 9  # 9, capped at 6
    truth[:4, 2] = [1, 1, 1, 0]  # common: never below 1
    assert positive_weights(truth, cap=6).tolist() == [5, 6, 1]
    assert positive_weights(truth, cap=1).tolist() == [1, 1, 1]
