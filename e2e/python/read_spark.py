"""Answers queries with Spark in local mode, in the canonical text of compare.go, until its input ends.

Each line of input is a JSON object: {"catalog": name, "sql": statement}. The answer is a line with the number of lines that follow,
or with an error: {"lines": n} or {"error": text}; then the list of columns and the rows, as JSON arrays of text and null.
"""

import json
import os
import sys

from canonical import canonical
from pyspark.sql import Row, SparkSession
from pyspark.sql.types import TimestampType


def answer(spark, sql):
    frame = spark.sql(sql)
    instants = [isinstance(f.dataType, TimestampType) for f in frame.schema.fields]
    yield frame.columns
    for row in frame.collect():
        yield [canonical(v.asDict() if isinstance(v, Row) else v, i) for v, i in zip(row, instants)]


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
