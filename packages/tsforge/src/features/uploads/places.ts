/** Where a file lies until it is checked; the link that stores it reaches no further. Within the tenant's storage. */
export function stagedKey(id: string): string {
  return `uploads/pending/${id}`
}

/** Where a checked file lies. No link ever stores here. */
export function finalKey(id: string): string {
  return `uploads/ready/${id}`
}
