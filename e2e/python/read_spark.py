"""Answers queries with Spark in local mode, in the canonical text of compare.go, until its input ends.

Each line of input is a JSON object: {"catalog": name, "sql": statement}. The answer is a line with the number of lines that follow,
or with an error: {"lines": n} or {"error": text}; then the list of columns and the rows, as JSON arrays of text and null.
"""

import decimal
import json
import os
import sys

from canonical import canonical
from pyspark.sql import Row, SparkSession
from pyspark.sql.types import TimestampType


def plain(value, kind):
    """Returns a struct as a dict, and a decimal at its column's scale: Spark hands 0.0000000001 to Python as 100E-12."""
    if isinstance(value, Row):
        return value.asDict()
    if isinstance(value, decimal.Decimal):
        return value.quantize(decimal.Decimal(1).scaleb(-kind.scale), context=decimal.Context(prec=38, traps=[decimal.Inexact]))
    return value


def answer(spark, sql):
    frame = spark.sql(sql)
    kinds = [f.dataType for f in frame.schema.fields]
    instants = [isinstance(k, TimestampType) for k in kinds]
    yield frame.columns
    for row in frame.collect():
        yield [canonical(plain(v, k), i) for v, k, i in zip(row, kinds, instants)]


def main():
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # The JVM prints to what was standard output.
    builder = SparkSession.builder.master("local[1]").appName("e2e")
    for key, value in json.loads(sys.argv[1]).items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("WARN")
    for line in sys.stdin:
        request = json.loads(line)
        try:
            # A session has catalogs of its own: a kept connection to SQLite would go on seeing its first snapshot.
            session = spark.newSession()
            for key, value in request["properties"].items():
                session.conf.set("spark.sql.catalog." + request["catalog"] + key, value)
            lines = [json.dumps(x, ensure_ascii=False) for x in answer(session, request["sql"])]
            head = {"lines": len(lines)}
        except Exception as e:  # The driver decides what an error means.
            lines, head = [], {"error": str(e)[:2000]}
        out.write("\n".join([json.dumps(head), *lines]) + "\n")
        out.flush()


main()
