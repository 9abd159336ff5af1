// Package soak runs a gateway for minutes under load while all that changes in
// years changes: its tests fail when a lawful call does, or when something is
// held that should be gone. `make soak` runs it for long.
package soak
