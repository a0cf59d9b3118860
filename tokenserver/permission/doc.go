// Package permission owns what is asked of protected resources and what comes of it: it reads the parameters of the grant of
// requesting party tokens, finds the resources that they mean, asks the policies about each, and puts the answer together with
// an older token. It is pure. It does not own what resources there are (package resource), what a policy means (package policy),
// nor how an answer is signed or written (packages issue and uma).
package permission
