.DEFAULT_GOAL := help

help: ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: ## try it: made-up people on this computer
	go run ./cmd/latchkey demo

test: ## all that needs Go alone, and what else is installed
	go test ./...

e2e: ## what the end-to-end tests need beside Go
	.ci/install

ci: ## what CI runs
	.ci/run

# The proofs at full size take hours; PROOF=ci takes minutes. One of them:
#   make proof ROW=Crash       two processes, killed at random while they refresh
#   make proof ROW=Race        three processes, one refresh an expiry
#   make proof ROW=Model       the refresh protocol's states, exhaustively
#   make proof ROW=Rotation    keys that change under load, old and new processes
#   make proof ROW=PowerLoss   unsynced writes that are lost
#   make proof ROW=Disk        full, read-only and damaged disks
#   make proof ROW=Theft       canaries, looked for wherever a thief may look
#   make proof ROW=Swap        rows, columns and old versions, exchanged
#   make proof ROW=Tokens      mutated access tokens
#   make proof ROW=Crossing    many people through the whole server
PROOF ?= full
proof: ## what the vault promises, proved at full size
	PROOF=$(PROOF) .ci/proof $(ROW)

fuzz: ## each fuzz target for an hour
	.ci/fuzz 1h

bench: ## what a call costs, against a floor; ends with "ratio <name> <value>" lines
	BENCH=1 go test -run '^TestBench$$' -v -timeout 0 ./cmd/latchkey
.PHONY: help demo test e2e ci proof fuzz bench
