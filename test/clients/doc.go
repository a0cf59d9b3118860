// Package clients lets stock clients of registries work with passwords and refresh tokens against a stock registry, real
// token servers and a real API server, and takes the tokens away from them. It owns how each client is driven and what
// its refusal looks like; it does not own what a registry or a server does. Its tests have the build tag e2e;
// `make e2e-clients` runs them.
package clients
