"""Reads an Iceberg table with PyIceberg and prints its rows in the canonical text of compare.go.

The first line is the list of columns, every other line a row: JSON arrays of text and null.
"""

import argparse
import json
import sys

import pyarrow as pa
import pyarrow.compute as pc
from canonical import canonical
from pyiceberg.catalog import load_catalog


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--catalog", required=True, help="properties of the catalog, as JSON")
    args.add_argument("--order", help="sort by this column, descending")
    args.add_argument("--limit", type=int, default=0)
    args.add_argument("--count", action="store_true", help="print only the number of rows")
    args.add_argument("table")
    args = args.parse_args()

    table = load_catalog("cdcd", **json.loads(args.catalog)).load_table(args.table)
    if args.count:
        print(json.dumps(["count"]))
        print(json.dumps([str(table.scan().count())]))
        return
    data = table.scan().to_arrow()
    if args.order:
        data = data.take(pc.sort_indices(data, sort_keys=[(args.order, "descending")]))
    if args.limit:
        data = data.slice(0, args.limit)
    print(json.dumps(data.column_names))
    instants = [pa.types.is_timestamp(field.type) and field.type.tz is not None for field in data.schema]
    for batch in data.to_batches():
        columns = [[canonical(v, i) for v in column.to_pylist()] for column, i in zip(batch.columns, instants)]
        for row in zip(*columns):
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")


main()
