// Package simtest runs the real pipeline against an unreliable world, from a seed, and compares the tables with an oracle.
//
// Everything is real down to the calls that leave the process: Kafka is kfake on a socket, the catalog is SQLite, rows
// are read back by iceberg-go's scan. At each call of the catalog and of storage the world may refuse it, do it and
// lose the reply, delay it, lose the reply and do it later, or crash the process there. The package holds tests only.
package simtest
