"""Operators as trees of tensors: taken apart, built again, moved; what says how it broadcasts."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
import torch
from cases import LINEAR, MONOTONE, draw_of, quick
from hypothesis import given
from hypothesis import strategies as st

from monops import L1, Affine, Box, Dense, Identity, Subdifferential, tree
from monops.linear import Factored, Scaled

D = torch.float64


class Pair(NamedTuple):
    first: Any
    second: Any


@dataclass(frozen=True)
class Node:
    matrix: Any = field(default=None, metadata={"axes": 2})
    state: Any = field(default=None, metadata={"axes": "domain"})
    plain: Any = None
    memo: dict[str, Any] = field(default_factory=dict, metadata={"memo": True})
    built: list[int] = field(default_factory=list, compare=False)

    def __post_init__(self) -> None:
        self.built.append(1)


def test_leaves_come_in_order_with_what_they_say() -> None:
    a, b, c, d = (torch.full((2,), float(i)) for i in range(4))
    flat = tree.flatten(Node(a, (b, Pair(c, "text")), Node(d)))
    assert [float(leaf[0]) for leaf in flat.leaves] == [0, 1, 2, 3]
    assert flat.axes == [2, "domain", "domain", 2]


@st.composite
def trees(draw: Any) -> Any:
    leaf = st.one_of(st.integers(), st.text(max_size=3), st.none(), st.builds(torch.tensor, st.floats(-9, 9)))
    return draw(
        st.recursive(
            leaf,
            lambda inner: st.one_of(
                st.builds(Node, inner, inner, inner), st.builds(Pair, inner, inner), st.tuples(inner, inner)
            ),
            max_leaves=8,
        )
    )


@quick
@given(thing=trees())
def test_rebuilding_gives_the_same(thing: Any) -> None:
    flat = tree.flatten(thing)
    again = flat.rebuild(flat.leaves)
    assert repr(again) == repr(thing)
    assert all(a is b for a, b in zip(tree.flatten(again).leaves, flat.leaves, strict=True))
    doubled = tree.flatten(tree.map_tensors(lambda x: 2 * x, thing))
    assert [float(x) for x in doubled.leaves] == [2 * float(x) for x in flat.leaves]
    assert doubled.axes == flat.axes


def test_constructors_do_not_run_again() -> None:
    node = Node(torch.ones(2))
    again = tree.flatten(node).rebuild([torch.zeros(2)])
    assert again.built is node.built
    assert len(node.built) == 1


def test_one_object_in_two_places_stays_one() -> None:
    inner = Dense(torch.eye(2))
    flat = tree.flatten((inner, Scaled(2.0, inner)))
    assert len(flat.leaves) == 1
    first, second = flat.rebuild([torch.ones(2, 2)])
    assert second.op is first
    assert torch.equal(first.matrix, torch.ones(2, 2))


def test_memos_are_kept_or_emptied() -> None:
    node = Node(torch.ones(2), memo={"factor": torch.ones(3)})
    flat = tree.flatten(node)
    assert len(flat.leaves) == 1  # what is remembered is not data
    assert flat.rebuild(flat.leaves).memo is node.memo
    assert flat.rebuild(flat.leaves, fresh=True).memo == {}
    assert tree.map_tensors(lambda x: x, node).memo == {}
    assert node.memo


def test_a_skeleton_holds_no_tensor() -> None:
    """What autograd keeps of a problem is `rebuild`, which must not keep the tensors alive beside it."""
    flat = tree.flatten(Node(torch.ones(2), (torch.ones(1), 3)))
    rebuild: Any = flat.rebuild
    held = [cell.cell_contents for cell in rebuild.__closure__]
    assert not any(tree.flatten(value).leaves for value in held if value is not flat.leaves)


def test_too_few_tensors_are_an_error() -> None:
    with pytest.raises(StopIteration):
        tree.flatten(Node(torch.ones(2), torch.ones(2))).rebuild([torch.ones(2)])


@pytest.mark.parametrize("name", list(LINEAR))
def test_operators_survive(name: str) -> None:
    op = LINEAR[name](draw_of("torch64")).op
    flat = tree.flatten(op)
    again = flat.rebuild([leaf.clone() for leaf in flat.leaves], fresh=True)
    assert type(again) is type(op)
    assert (again.domain, again.codomain, again.batch, again.symmetric) == (
        op.domain,
        op.codomain,
        op.batch,
        op.symmetric,
    )
    x = draw_of("torch64", 1).put(draw_of("torch64", 1).array(2, *op.batch, *op.domain))
    assert torch.equal(again(x), op(x))


@pytest.mark.parametrize("name", list(MONOTONE))
def test_monotone_operators_survive(name: str) -> None:
    A = MONOTONE[name](draw_of("torch64"))
    flat = tree.flatten(A)
    again = flat.rebuild([2 * leaf for leaf in flat.leaves], fresh=True)
    assert type(again) is type(A)
    assert [2 * leaf.sum() for leaf in flat.leaves] == [leaf.sum() for leaf in tree.flatten(again).leaves]


def test_tensors_say_how_they_broadcast() -> None:
    """Else a mapped batch of problems is solved one by one."""
    A = Affine(Dense(torch.eye(3)), torch.ones(3)) + Identity((3,), torch.tensor(2.0))
    functions = (Subdifferential(L1(torch.ones(3))), Subdifferential(Box(torch.zeros(3), torch.ones(3))))
    assert tree.flatten((A, functions)).axes == [2, "domain", "domain", "domain", "domain"]
    assert None not in tree.flatten((A.factored(), A.translate(torch.ones(3)))).axes


def test_a_copy_with_other_numbers_factorises_anew() -> None:
    kept = Factored(Dense(torch.eye(2, dtype=D)))
    kept.resolvent(1.0), kept.norm()
    other = tree.map_tensors(lambda x: 3 * x, kept)
    torch.testing.assert_close(other.resolvent(1.0).to_dense(), torch.eye(2, dtype=D) / 4)
    assert other.norm() == pytest.approx(3.0)
    assert kept.norm() == pytest.approx(1.0)
