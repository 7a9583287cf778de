"""A first look at a model from Python, in examples that `python3 first_look.py` runs and compares.

>>> from attnscope import Attnscope, Error
>>> scope = Attnscope()
>>> run = scope.run(MODEL, prompt="It was a dark night, and the old man lit a lamp.",
...                 metrics=["sink", "entropy", "residual_norm"], sink_keys=[0, 1], maps="L0H1")

Values are arrays, layer by head; sink has a position, too, the key that it is about.

>>> scope.values("entropy", run).shape
(4, 8)
>>> sink = scope.values("sink", run)
>>> sink.shape
(4, 8, 2)
>>> layer, head = np.unravel_index(sink[:, :, 0].argmax(), sink.shape[:2])
>>> print(f"L{layer}H{head}")
L1H4
>>> scope.values("residual_norm", run).shape  # a value a layer, and one for the embeddings
(5,)

Maps are arrays, query by key, NaN where a query cannot see; every row of weights sums to one.  L0H1 looks one token back.

>>> weights = scope.maps(run)["L0H1"]
>>> bool(np.allclose(np.nansum(weights, axis=1), 1, atol=1e-5))
True
>>> bool((np.nanargmax(weights, axis=1)[2:] == np.arange(1, len(weights) - 1)).all())
True

Commands give their rows as dicts, and so does SQL.

>>> for row in scope.table("top", "sink", n=2):
...     print(row["head"], round(row["value"], 2))
L1H4 1.0
L1H6 0.96
>>> scope.sql("SELECT layer, sinks FROM sink_by_layer WHERE layer = 1")
[{'layer': 1, 'sinks': 8}]

What goes wrong is an exception with the words of the program.

>>> try:
...     scope.run(MODEL, prompt="A lamp.", metrics="sinck")
... except Error as error:
...     print(error)
attnscope: run: no metric is called 'sinck'
  hint: did you mean sink? `list metrics` shows all
"""
import doctest
import os
import sys

import numpy as np

MODEL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "models", "lantern-3m")

if __name__ == "__main__":
    failed, tried = doctest.testmod()
    print(f"{tried - failed} of {tried} examples as written")
    sys.exit(failed != 0)
