# METADATA
# title: Sentinel
# description: Which bundle answers. An engine without a policy calls itself healthy; this rule is what says ready.
package bailiwick.sentinel

# METADATA
# title: Revision
# description: The revision of the activated bundle; undefined where there is none, and so is every decision.
# entrypoint: true
revision := data.system.bundles[_].manifest.revision
