// Package project holds tests about the project itself: import edges, linked
// modules, lengths of files, and commands that the README gives.
package project
