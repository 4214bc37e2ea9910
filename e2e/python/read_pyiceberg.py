"""Reads an Iceberg table with PyIceberg and prints its rows in the canonical text of compare.go.

The first line is the list of columns, every other line a row: JSON arrays of text and null.
"""

import argparse
import datetime
import decimal
import json
import sys

import pyarrow.compute as pc
from pyiceberg.catalog import load_catalog

EPOCH = datetime.datetime(1970, 1, 1)
EPOCH_UTC = EPOCH.replace(tzinfo=datetime.timezone.utc)


def canonical(value):
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case decimal.Decimal():
            return format(value, "f")
        case float():
            return format(decimal.Decimal(repr(value)), "f").removesuffix(".0")
        case bytes():
            return "hex:" + value.hex()
        case datetime.datetime():
            zone = "Z" if value.tzinfo else ""
            return value.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds") + zone
        case datetime.date():
            return value.isoformat()
    raise TypeError(f"no canonical text for {type(value)}")


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
    for batch in data.to_batches():
        columns = [[canonical(v) for v in column.to_pylist()] for column in batch.columns]
        for row in zip(*columns):
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")


main()
