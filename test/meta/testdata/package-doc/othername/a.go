// Package another knows what it is not called.
package othername
