"""Evaluates CEL with cel-python, line by line: the other side of crates/rules/examples/cel_differential.rs.

Reads {"scene": 3, "expr": "…", "bindings": …} lines, bindings only where a scene is new, and writes one line for each:
a value with its type, {"int": 3}; {"failed": "…"} where CEL has an error at run time; {"unreadable": "…"} for the rest.
"""

import datetime
import gc
import json
import logging
import sys

import celpy
from celpy import celtypes

EPOCH = celtypes.TimestampType("1970-01-01T00:00:00Z")


def span(nanos):
    return datetime.timedelta(microseconds=int(nanos) // 1000)


def nanos_of(delta):
    return (delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1000


def to_cel(tagged):
    ((tag, value),) = tagged.items()
    if tag == "bool":
        return celtypes.BoolType(value)
    if tag == "int":
        return celtypes.IntType(value)
    if tag == "float":
        return celtypes.DoubleType(float(value))
    if tag == "text":
        return celtypes.StringType(value)
    if tag == "duration":
        return celtypes.DurationType(span(value))
    if tag == "time":
        return EPOCH + celtypes.DurationType(span(value))
    if tag == "list":
        return celtypes.ListType([to_cel(item) for item in value])
    return celtypes.MapType({celtypes.StringType(name): to_cel(item) for name, item in value.items()})


def from_cel(value):
    # Some operators of the library answer with Python's own types.
    if isinstance(value, (bool, celtypes.BoolType)):
        return {"bool": bool(value)}
    if isinstance(value, celtypes.UintType):
        return {"unreadable": repr(value)}
    if isinstance(value, int):
        return {"int": int(value)}
    if isinstance(value, float):
        return {"float": repr(float(value))}
    if isinstance(value, str):
        return {"text": str(value)}
    if isinstance(value, datetime.datetime):
        return {"time": str(nanos_of(datetime.datetime.__sub__(value, EPOCH)))}
    if isinstance(value, datetime.timedelta):
        return {"duration": str(nanos_of(value))}
    return {"unreadable": f"{type(value).__name__}: {value!r}"}


def answer(environment, expression, activation):
    try:
        program = environment.program(environment.compile(expression))
    except celpy.CELParseError as problem:
        return {"unreadable": str(problem)}
    try:
        return from_cel(program.evaluate(activation))
    except celpy.CELEvalError as problem:
        return {"failed": str(problem)[:200]}
    except Exception as problem:  # what the library itself does not expect
        return {"failed": f"{type(problem).__name__}: {problem}"[:200]}


def main():
    # What fails is answered; the library writes it down besides, at length and not always with success.
    logging.disable(logging.CRITICAL)
    # Nesting of the library is deep: about ten calls for each level of an expression.
    sys.setrecursionlimit(10_000)
    environment, activations = celpy.Environment(), {}
    # Syntax trees come and go by the thousand; looking through everything else each time is a third of the work.
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)
    for line in sys.stdin:
        question = json.loads(line)
        if "bindings" in question:
            fields = question["bindings"]["map"]
            activations[question["scene"]] = {name: to_cel(value) for name, value in fields.items()}
        result = answer(environment, question["expr"], activations[question["scene"]])
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()


main()
