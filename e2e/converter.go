package main

import (
	"archive/zip"
	"context"
	"errors"
	"os"
)

// glueConverter writes Avro records, and their schemas to AWS Glue Schema Registry.
const glueConverter = "com.amazonaws.services.schemaregistry.kafkaconnect.AWSKafkaAvroConverter"

// glueRegistry is the name of the registry in moto.
const glueRegistry = "e2e"

// installConverter fetches the converter of Glue Schema Registry. Its jar does not name it as a service, which is how Connect is told to
// find plugins; a jar beside it does.
func (in *installer) installConverter(ctx context.Context) error {
	if err := in.maven(ctx, "converter"); err != nil {
		return err
	}
	file, err := os.Create(in.path("converter", "services.jar"))
	if err != nil {
		return err
	}
	jar := zip.NewWriter(file)
	service, err := jar.Create("META-INF/services/org.apache.kafka.connect.storage.Converter")
	if err == nil {
		_, err = service.Write([]byte(glueConverter + "\n"))
	}
	if err := errors.Join(err, jar.Close(), file.Close()); err != nil {
		return err
	}
	if err := os.Symlink(in.path("converter"), in.path("plugins", "converter")); !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}
