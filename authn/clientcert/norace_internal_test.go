//go:build !race

package clientcert

const raceEnabled = false
