// Package stage has what both the demo and the end-to-end tests play on: a control plane with the chart installed, managers
// and servers under the rights of their own ServiceAccounts, supervised processes, a balancer, registries. It owns that
// nothing of it is left running; it does not own what is shown.
package stage
