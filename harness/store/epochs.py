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

    An epoch is one unbroken spell of one identity at one node. What is certain of it begins with its first answer and ends with
    the last question that was answered so: an answer may have waited for us while its node was already someone else. An operation
    that is not within has no epoch (-1). Nor has one before the first answer or after the last question to its node. A node that
    was silent and then is who it was before (a pause) has not changed.
    """
    epoch = np.full(len(history), UNKNOWN, np.int32)
    epochs: list[Epoch] = []
    index = {name: number for number, name in enumerate(history.nodes)}
    for node, answers in groupby(sorted(samples), key=lambda sample: sample.node):
        asked, answered, identities = _columns(answers)
        starts = np.flatnonzero(np.concatenate(([True], identities[1:] != identities[:-1])))
        ends = np.concatenate((starts[1:], [len(asked)])) - 1
        spells = [
            Epoch(len(epochs) + number, node, int(answered[start]), str(identities[start])) for number, start in enumerate(starts)
        ]
        if node in index:
            rows = np.flatnonzero(history.node == index[node])
            spell = _spell_of(history.call_ns[rows], history.return_ns[rows], answered[starts], asked[ends])
            epoch[rows] = np.where(spell >= 0, spell + len(epochs), UNKNOWN)
        epochs += spells
    return replace(history, columns={**history.columns, "epoch": epoch}, epochs=tuple(epochs))


def _columns(answers: Iterable[Sample]) -> tuple[Column, Column, Column]:
    _, asked, answered, identities = zip(*answers, strict=True)
    return np.asarray(asked, np.int64), np.asarray(answered, np.int64), np.asarray(identities, object)


def _spell_of(call: Column, back: Column, first: Column, last: Column) -> Column:
    """Per operation the number of the spell ``[first, last]`` that holds it from call to return; -1 if none does."""
    spell = np.searchsorted(first, call, side="right") - 1
    inside: Column = np.where((spell >= 0) & (back <= last[spell]), spell, UNKNOWN)
    return inside
