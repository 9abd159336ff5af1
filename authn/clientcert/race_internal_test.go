//go:build race

package clientcert

// raceEnabled tells that the race detector makes all slow.
const raceEnabled = true
