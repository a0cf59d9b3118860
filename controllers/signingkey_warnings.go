package controllers

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// warnings are what will go wrong unless a person changes something, the most important first.
func (w *keyWork) warnings(now time.Time) []keyring.Problem {
	if w.params.Deleting {
		return nil
	}
	warnings := w.params.Warnings(now, w.key.Name, w.key.Namespace, w.ring, w.facts())
	if warning, is := w.authorityWarning(); is {
		warnings = append(warnings, warning)
	}
	return warnings
}

// warning is the condition Warning, which is there only while there is something to warn of. While the keys cannot be
// read, what was said last stays.
func (w *keyWork) warning(now time.Time, previous []metav1.Condition) []condition {
	if !w.readable {
		for _, c := range previous {
			if c.Type == v1alpha1.ConditionWarning {
				return []condition{isTrue(c.Type, c.Reason, c.Message)}
			}
		}
		return nil
	}
	warnings := w.warnings(now)
	if len(warnings) == 0 {
		return nil
	}
	return []condition{isTrue(v1alpha1.ConditionWarning, warnings[0].Reason, messages(warnings))}
}

// warnWake is when the next warning begins, if that is a matter of time.
func (w *keyWork) warnWake(now time.Time) time.Time {
	if at := w.params.WarnTime(w.ring); at.After(now) {
		return at
	}
	return time.Time{}
}
