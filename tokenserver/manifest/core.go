package manifest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	kjson "sigs.k8s.io/json"
)

// secretFields are the fields of a Secret.
var secretFields = []string{"apiVersion", "kind", "metadata", "immutable", "data", "stringData", "type"}

// secret reads a Secret by hand: what libraries say of a value that is wrong may repeat it.
func (r *reader) secret(o *object) (metav1.Object, []finding) {
	s := &corev1.Secret{Type: corev1.SecretTypeOpaque}
	s.APIVersion, s.Kind = o.typ.apiVersion, o.typ.kind
	m, findings := r.metadata(o, true, apivalidation.NameIsDNSSubdomain)
	if m != nil {
		s.ObjectMeta = *m
	}
	for _, key := range slices.Sorted(maps.Keys(o.value)) {
		if !slices.Contains(secretFields, key) {
			findings = append(findings, unknownField(key))
		}
	}
	findings = append(findings, secretOptions(o.value, s)...)
	data, more := secretData(o.value, "data", base64.StdEncoding.DecodeString)
	findings = append(findings, more...)
	texts, more := secretData(o.value, "stringData", func(text string) ([]byte, error) { return []byte(text), nil })
	findings = append(findings, more...)
	maps.Copy(data, texts)
	size := 0
	for _, value := range data {
		size += len(value)
	}
	if size > corev1.MaxSecretSize {
		findings = append(findings, finding{message: fmt.Sprintf("must hold at most %d bytes", corev1.MaxSecretSize)})
	}
	slices.SortStableFunc(findings, func(a, b finding) int { return strings.Compare(a.path, b.path) })
	s.Data = data
	return s, findings
}

func secretOptions(value map[string]any, s *corev1.Secret) (findings []finding) {
	switch immutable := value["immutable"].(type) {
	case nil:
	case bool:
		s.Immutable = &immutable
	default:
		findings = append(findings, finding{path: "immutable", message: "must be true or false"})
	}
	switch typ := value["type"].(type) {
	case nil:
	case string:
		if typ != "" {
			s.Type = corev1.SecretType(typ)
		}
	default:
		findings = append(findings, finding{path: "type", message: "must be a text"})
	}
	return findings
}

// secretData reads data or stringData.
func secretData(value map[string]any, name string, read func(string) ([]byte, error)) (map[string][]byte, []finding) {
	data := map[string][]byte{}
	if value[name] == nil {
		return data, nil
	}
	given, ok := value[name].(map[string]any)
	if !ok {
		return data, []finding{{path: name, message: "must hold keys and texts"}}
	}
	var findings []finding
	for key, v := range given {
		for _, message := range validation.IsConfigMapKey(key) {
			findings = append(findings, finding{path: name + "[" + key + "]", message: message})
		}
		text, ok := v.(string)
		if !ok && v != nil {
			findings = append(findings, finding{path: name + "[" + key + "]", message: "must be a text: a number, true or false must stand in quotes"})
			continue
		}
		decoded, err := read(text)
		if err != nil {
			findings = append(findings, finding{path: name + "[" + key + "]", message: "must be base64: a text belongs into stringData"})
			continue
		}
		data[key] = decoded
	}
	return data, findings
}

// namespace reads a Namespace, with the label that the API server gives to each.
func (r *reader) namespace(o *object) (metav1.Object, []finding) {
	m, findings := r.metadata(o, false, apivalidation.ValidateNamespaceName)
	delete(o.value, "status")
	n := &corev1.Namespace{}
	text, err := json.Marshal(o.value)
	if err == nil {
		var unknown []error
		unknown, err = kjson.UnmarshalStrict(text, n)
		findings = append(findings, unknownFields(unknown)...)
	}
	if err != nil {
		findings = append(findings, finding{message: err.Error()})
	}
	if m == nil {
		return n, findings
	}
	n.ObjectMeta = *m
	if n.Labels == nil {
		n.Labels = map[string]string{}
	}
	n.Labels[corev1.LabelMetadataName] = n.Name
	return n, findings
}

func unknownFields(errs []error) (findings []finding) {
	for _, err := range errs {
		var f kjson.FieldError
		if errors.As(err, &f) && !strings.HasPrefix(f.FieldPath(), "metadata.") { // which was looked at
			findings = append(findings, unknownField(f.FieldPath()))
		}
	}
	return findings
}
