//go:build !race

package controllers

// oneIn says how many of the faults and of the random lives are tried: all.
const oneIn = 1
