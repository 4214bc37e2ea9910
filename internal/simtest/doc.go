// Package simtest runs the real pipeline against an unreliable world, from a seed, and compares the tables with an oracle.
//
// Everything is real down to the calls that leave a process. Kafka is kfake on a network in memory, the catalog speaks
// iceberg-go's own interface and checks requirements with iceberg-go's own code, storage keeps whole objects, the schema registry
// answers HTTP requests in memory, rows are read back by iceberg-go's scan. At each call of storage, catalog, registry and brokers the
// world may refuse it, do it and lose the reply, delay it, lose the reply and do it later, or crash the process there. Each seed
// lives in a bubble of testing/synctest, so that the 45 seconds of a session and the 24 hours of a file's age cost nothing. The
// package holds tests only.
package simtest
