"""From answers to the question who a node is, to the epoch of every operation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby

import numpy as np

from harness.history import Column, Epoch, History
from harness.store.logs import Sample

UNKNOWN = -1


def assign_epochs(history: History, samples: Iterable[Sample]) -> History:
    """``history`` with its ``epoch`` column and ``epochs`` filled from ``samples``.

    An epoch is one unbroken spell of one identity at one node. Somewhere between two different answers it ended, so an operation
    that touches that interval has no epoch (-1). Nor has one that is not between two answers of its node: nobody knows what was
    before the first and after the last. A node that was silent and then is who it was before (a pause) has not changed.
    """
    epoch = np.full(len(history), UNKNOWN, np.int32)
    epochs: list[Epoch] = []
    index = {name: number for number, name in enumerate(history.nodes)}
    for node, answers in groupby(sorted(samples), key=lambda sample: sample.node):
        times, identities = _columns(answers)
        starts = np.flatnonzero(np.concatenate(([True], identities[1:] != identities[:-1])))
        ends = np.concatenate((starts[1:], [len(times)])) - 1
        spells = [
            Epoch(len(epochs) + number, node, int(times[start]), str(identities[start])) for number, start in enumerate(starts)
        ]
        if node in index:
            rows = np.flatnonzero(history.node == index[node])
            spell = _spell_of(history.call_ns[rows], history.return_ns[rows], times[starts], times[ends])
            epoch[rows] = np.where(spell >= 0, spell + len(epochs), UNKNOWN)
        epochs += spells
    return replace(history, columns={**history.columns, "epoch": epoch}, epochs=tuple(epochs))


def _columns(answers: Iterable[Sample]) -> tuple[Column, Column]:
    _, times, identities = zip(*answers, strict=True)
    return np.asarray(times, np.int64), np.asarray(identities, object)


def _spell_of(call: Column, back: Column, first: Column, last: Column) -> Column:
    """Per operation the number of the spell ``[first, last]`` that holds it from call to return; -1 if none does."""
    spell = np.searchsorted(first, call, side="right") - 1
    inside: Column = np.where((spell >= 0) & (back <= last[spell]), spell, UNKNOWN)
    return inside
