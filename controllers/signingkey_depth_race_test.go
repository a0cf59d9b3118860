//go:build race

package controllers

// oneIn says how many of the faults and of the random lives are tried under the race detector, with which each takes four
// times as long: one in four. make test tries all of them without it.
const oneIn = 4
