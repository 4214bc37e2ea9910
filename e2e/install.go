package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// An installer fetches what the run needs by package name, each with its ordinary client, into a cache outside of the
// repository. A part is fetched again only if its list of packages changed.
type installer struct {
	source string // The e2e folder of the repository.
	cache  string
	log    string
}

func (in *installer) path(elem ...string) string {
	return filepath.Join(append([]string{in.cache}, elem...)...)
}

// part runs fetch unless folder was made from the same list before.
func (in *installer) part(folder, list string, fetch func(folder string) error) error {
	data, err := os.ReadFile(filepath.Join(in.source, list))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	want, stamp := hex.EncodeToString(sum[:]), in.path(folder+".stamp")
	if have, err := os.ReadFile(stamp); err == nil && string(have) == want {
		return nil
	}
	began := time.Now()
	progress("installing %s", folder)
	if err := os.RemoveAll(in.path(folder)); err != nil {
		return err
	}
	if err := fetch(in.path(folder)); err != nil {
		return fmt.Errorf("install %s: %w", folder, err)
	}
	progress("installed %s in %s", folder, time.Since(began).Round(time.Second))
	return os.WriteFile(stamp, []byte(want), 0o644)
}

// maven copies the jars and archives of a pom.xml.
func (in *installer) maven(ctx context.Context, name string, options ...string) error {
	list := filepath.Join("maven", name, "pom.xml")
	return in.part(name, list, func(folder string) error {
		argv := append([]string{
			"mvn", "-q", "-B", "-f", filepath.Join(in.source, list), "dependency:copy-dependencies",
			"-DincludeScope=runtime", "-DoutputDirectory=" + folder,
		}, options...)
		return runQuietly(ctx, in.log, nil, argv...)
	})
}

// python makes a virtual environment from a list of requirements.
func (in *installer) python(ctx context.Context, name string) error {
	list := filepath.Join("python", name+".txt")
	return in.part(name, list, func(folder string) error {
		if err := runQuietly(ctx, in.log, nil, "python3", "-m", "venv", folder); err != nil {
			return err
		}
		return runQuietly(ctx, in.log, nil, filepath.Join(folder, "bin", "pip"), "install", "-q", "-r", filepath.Join(in.source, list))
	})
}

// debian installs packages unless the program is there already.
func (in *installer) debian(ctx context.Context, program string, packages ...string) error {
	if _, err := exec.LookPath(program); err == nil {
		return nil
	}
	progress("installing %v", packages)
	env := []string{"DEBIAN_FRONTEND=noninteractive"}
	if err := runQuietly(ctx, in.log, env, "apt-get", "update"); err != nil {
		return err
	}
	return runQuietly(ctx, in.log, env, append([]string{"apt-get", "install", "-y", "--no-install-recommends"}, packages...)...)
}
