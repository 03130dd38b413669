# METADATA
# title: Reasons
# description: The codes that say why not, and their order; both are data.yaml beside this file.
package bailiwick.reasons

# METADATA
# description: The given set of codes as a list, the most telling first (D9).
sorted(found) := [code | some code in data.bailiwick.reasons.precedence; code in found]
