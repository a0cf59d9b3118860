// Package door compares what the API server refuses by the schemas of policies and protected resources with what the compilers
// refuse. It owns the proof that nothing is refused at the door that would be accepted behind it, and what the rules cost. What
// each rule says is tested beside the kinds (api/v1alpha1), what the admission policies refuse in test/admission.
package door
