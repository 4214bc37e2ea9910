# "make check" is what continuous integration runs; it needs Go, and a C compiler for the race detector. That makes everything many times
# slower, and so sees a short run: what only counts, or repeats itself, is left to the run without it.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
IMAGE   ?= cdcd:$(VERSION)

# The tools have a go.mod of their own, so that the program's go.mod names only what the program needs.
LINTER  := go tool -modfile=tools/go.mod golangci-lint
CC_PATH := $(shell command -v "$$(go env CC)")

.PHONY: check build test lint fmt vet demo soak e2e image clean

check: lint vet
	$(if $(CC_PATH),go test -race -short -timeout 20m ./...,@echo "no C compiler: the tests run WITHOUT the race detector" >&2)
	go test ./...

build:
	CGO_ENABLED=0 go build -trimpath -ldflags "-X main.version=$(VERSION)" -o bin/cdcd ./cmd/cdcd

test:
	go test ./...

lint:
	$(LINTER) fmt --diff
	$(LINTER) run

fmt:
	$(LINTER) fmt

vet:
	go vet ./...

demo:
	go run ./cmd/cdcd demo

# Random seeds for a time, with real processes that are killed, frozen and restarted: "make soak T=10m".
soak:
	go test ./cmd/cdcd -run '^TestSoak$$' -soak $(or $(T),10m) -timeout 0 -count 1 -v

# The real stack; e2e/README.md tells what is started. "make e2e S=a" runs one scenario, F="-readers trino" gives flags.
e2e:
	go -C e2e build -o ../bin/e2e .
	bin/e2e $(if $(S),-s $(S)) $(F)

image:
	docker build --build-arg VERSION=$(VERSION) --tag $(IMAGE) .

clean:
	rm -rf bin
