//go:build race

package proxy_test

// raceEnabled tells that the race detector allocates too.
const raceEnabled = true
