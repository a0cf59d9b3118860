// Package review owns what people ask about policies apart from requests for tokens: may somebody do something, who may,
// does a table of cases hold, what would a change change, and what can be said of policies without a cluster. What is
// granted is decided by package policy, and whom an audience admits by package snapshot, as in a server. It knows neither
// files nor a cluster: objects come in, and answers go out.
package review
