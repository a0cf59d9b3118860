package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// metadata makes the metadata what an API server makes of it when an object is created. It returns nil if it cannot be
// decoded.
func (r *reader) metadata(o *object, namespaced bool, name apivalidation.ValidateNameFunc) (*metav1.ObjectMeta, []finding) {
	m, found, unknown, err := objectmeta.GetObjectMetaWithOptions(o.value, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true})
	if err != nil {
		return nil, []finding{wrongType(o.value["metadata"])}
	}
	if !found || m == nil {
		m = &metav1.ObjectMeta{}
	}
	findings := r.created(o, m, namespaced, name)
	for _, path := range unknown {
		findings = append(findings, unknownField(path))
	}
	if err := objectmeta.SetObjectMeta(o.value, m); err != nil {
		findings = append(findings, finding{path: "metadata", message: err.Error()})
	}
	return m, findings
}

// wrongType says which field of the metadata cannot be decoded, and not what stands there: annotations of a Secret may
// hold the Secret.
func wrongType(metadata any) finding {
	f := finding{path: "metadata", message: "a field is of a wrong type"}
	text, err := json.Marshal(metadata)
	if err != nil {
		return f
	}
	var wrong *json.UnmarshalTypeError
	if err := json.Unmarshal(text, &metav1.ObjectMeta{}); errors.As(err, &wrong) {
		if wrong.Field == "" {
			f.message = "must hold fields"
			return f
		}
		found, _, _ := strings.Cut(wrong.Value, " ")
		f.path, f.message = f.path+"."+wrong.Field, fmt.Sprintf("must be of type %s, not %s", wrong.Type, found)
		if found == "bool" {
			f.message += ": YAML takes y, n, yes, no, on and off for true or false unless they stand in quotes"
		}
	}
	return f
}

// created takes away what only an API server says of an object, and returns what is wrong with the rest.
func (r *reader) created(o *object, m *metav1.ObjectMeta, namespaced bool, name apivalidation.ValidateNameFunc) []finding {
	if namespaced && m.Namespace == "" {
		m.Namespace = r.options.Namespace
	}
	var findings []finding
	if m.Name == "" {
		findings = append(findings, finding{path: "metadata.name", message: "must be given"})
		m.Name = "unnamed" // which is said once
	}
	errs := apivalidation.ValidateObjectMeta(m, namespaced, name, field.NewPath("metadata"))
	if o.typ.core() && o.typ.kind == kindSecret {
		for _, err := range errs {
			err.BadValue = field.OmitValueType{} // a label may be a line that lost its place
		}
	}
	findings = append(findings, findingsOf(errs)...)
	m.GenerateName, m.UID, m.ResourceVersion, m.Generation = "", "", "", 1
	m.CreationTimestamp, m.DeletionTimestamp, m.DeletionGracePeriodSeconds = metav1.Time{}, nil, nil
	m.ManagedFields = nil
	return findings
}
