.DEFAULT_GOAL := help

help: ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: ## try it: made-up people on this computer
	go run ./cmd/latchkey demo

build: ## the program, in this directory
	go build -trimpath -o latchkey ./cmd/latchkey

test: ## all that needs Go alone, and what else is installed
	go test ./...

check: ## format, vet, staticcheck, modules
	.ci/check

e2e: ## what the end-to-end tests need beside Go
	.ci/install

ci: ## what CI runs
	.ci/run
.PHONY: help demo build test check e2e ci
