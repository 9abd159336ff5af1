# The targets that people use; `make help` prints them.
FUZZTIME ?= 5s
SOAK ?= 10m

# What a build says of itself. The same commit gives the same bytes, wherever it is built.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null)
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
IMAGE ?= zproxy:$(VERSION)
BINARY ?= bin/zproxy
CERTIFICATES ?= /etc/ssl/certs/ca-certificates.crt
BUILD := CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -buildid= -X main.version=$(VERSION) -X main.revision=$(REVISION)'

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: build rootfs image packages deployment release-notes release-dry help check format vet staticcheck race allocations cover mutation generated fuzz test bench soak reload-load demo clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

check: format vet staticcheck race allocations cover generated fuzz deployment ## all that CI runs; import edges, linked modules and README blocks are tests in internal/project

format: ## fail on files that gofmt would change
	@files=$$(gofmt -l .); if [ -n "$$files" ]; then echo "not formatted, run gofmt -w:"; echo "$$files"; exit 1; fi

vet: ## go vet
	go vet ./...

staticcheck: ## staticcheck, at the version in go.mod
	go tool staticcheck ./...

race: ## all tests with the race detector
	go test -race -timeout 15m ./...

allocations: ## the budgets of allocations, which the race detector would spoil
	go test -count=1 -run 'Alloc' ./proxy ./policy/... ./internal/audit ./authn/...

cover: ## fail when the statement coverage of policy and what is below it is under 98 %
	@packages=$$(go list ./policy/... | grep -v /internal/); profile=$$(mktemp); trap 'rm -f $$profile' EXIT; \
	go test -coverpkg=$$(tr '\n' ',' <<< "$$packages" | sed 's/,$$//') -coverprofile=$$profile $$packages > /dev/null; \
	awk 'NR > 1 {n[$$1] = $$2; if ($$3 > 0) c[$$1] = 1} END {for (k in n) {all += n[k]; if (k in c) covered += n[k]}; printf "policy/... %.2f%%\n", 100*covered/all; exit covered/all < 0.98}' $$profile

mutation: ## turn each decision of policy round: some test must notice
	go run ./internal/mutate -tests "./policy ./policy/operation ./policy/message ./policy/organization ./policy/condition ./policy/cases ./policy/review" \
	  $$(ls policy/*.go policy/operation/*.go policy/message/*.go policy/organization/*.go policy/condition/*.go | grep -v -e _test.go -e _gen.go)

generated: ## fail when generated files differ from what go generate writes
	@before=$$(mktemp); after=$$(mktemp); trap 'rm -f $$before $$after' EXIT; \
	snapshot() { git ls-files -z --cached --others --exclude-standard | xargs -0 sha256sum 2>/dev/null || true; }; \
	snapshot > $$before; go generate ./...; snapshot > $$after; \
	diff $$before $$after || { echo "generated files were out of date; commit what go generate wrote"; exit 1; }

fuzz: ## each fuzz target for FUZZTIME (5s)
	@for package in $$(go list ./...); do \
	  targets=$$(go test -list '^Fuzz' $$package); \
	  for target in $$(grep '^Fuzz' <<< "$$targets" || true); do \
	    echo "fuzz $$package $$target"; \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s $$package; \
	  done; \
	done

build: ## bin/zproxy: static, and the same bytes for the same commit
	$(BUILD) -o $(BINARY) ./cmd/zproxy

rootfs: ## bin/rootfs: what the image holds
	rm -rf bin/rootfs
	mkdir -p bin/rootfs/root/etc/ssl/certs bin/rootfs/root/etc/zproxy bin/rootfs/root/var/lib bin/rootfs/state/zproxy
	$(BUILD) -o bin/rootfs/root/zproxy ./cmd/zproxy
	install -m 0644 $(CERTIFICATES) bin/rootfs/root/etc/ssl/certs/ca-certificates.crt
	chmod -R u=rwX,go=rX bin/rootfs && chmod 0700 bin/rootfs/state/zproxy
	find bin/rootfs -exec touch -h -d @$(or $(SOURCE_DATE_EPOCH),0) {} +

image: ## the image, by docker, buildah or podman, and what it says of its version
	@IMAGE='$(IMAGE)' VERSION='$(VERSION)' REVISION='$(REVISION)' SOURCE_DATE_EPOCH='$(SOURCE_DATE_EPOCH)' deploy/image/build

packages: build ## the Debian and RPM packages, in dist/
	@mkdir -p dist; version='$(VERSION)'; [[ $$version =~ ^v?[0-9]+\.[0-9]+\.[0-9]+ ]] || version=0.0.0-$$version; \
	for format in deb rpm; do \
	  VERSION=$$version GOARCH="$$(go env GOARCH)" BINARY='$(BINARY)' SOURCE_DATE_EPOCH='$(SOURCE_DATE_EPOCH)' \
	    go tool -modfile=internal/deploytest/go.mod nfpm package --config deploy/package/nfpm.yaml --packager $$format --target dist/; \
	done

deployment: ## the image, units, packages, manifests, compose file and release configuration
	cd internal/deploytest && go vet ./... && go test -timeout 15m ./...

release-notes: ## what CHANGELOG.md says of VERSION
	@awk -v v='[$(VERSION)]' '/^## / {on = index($$0, "## " v) == 1; next} on' CHANGELOG.md | sed '/./,$$!d'

release-dry: ## a release that is not published: as far as the tools that are here go
	@command -v goreleaser > /dev/null || { echo "goreleaser is not here; go install github.com/goreleaser/goreleaser/v2@v2.15.1 takes some minutes"; exit 1; }
	goreleaser check
	@skip=publish,sign; for tool in syft; do command -v $$tool > /dev/null || { echo "no SBOMs: $$tool is not here"; skip=$$skip,sbom; }; done; \
	goreleaser release --snapshot --clean --skip=$$skip

test: ## all tests, without the race detector
	go test ./...

bench: ## all benchmarks
	go test -run '^$$' -bench . -benchmem ./...

soak: ## half load for SOAK (10m) with reloads, rotations, token ends, restarts and early ends: nothing fails, nothing is held
	SOAK=$(SOAK) go test -count=1 -timeout 0 -v -run TestSoak ./internal/soak

reload-load: ## twenty reloads in twenty seconds under load, and of certificates under 200 calls a second: no call fails
	ZPROXY_LONG_RELOAD=1 go test -count=1 -v -run "TestReloadsUnderLoadFailNoCall|TestReloadsLoseNoRequest" ./internal/gateway

demo: ## the five-minute tour
	go run ./cmd/zproxy-demo --once

clean: ## remove what builds leave
	rm -rf bin zproxy zproxy-demo
