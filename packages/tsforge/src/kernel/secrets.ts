/** Keys derived from the app's secret, one per purpose, and sealing with them. */
export interface Secrets {
  /** 32 bytes for `purpose` (HKDF-SHA256, RFC 5869). The same for the life of the secret. */
  derive(purpose: string): Buffer
  /** Encrypts (AES-256-GCM) under the purpose's key, bound to `context`. */
  seal(purpose: string, plaintext: string | Uint8Array, context?: string): string
  /** Decrypts what `seal` made, also under previous secrets. Throws when it was altered or sealed for another context. */
  open(purpose: string, sealed: string, context?: string): Buffer
}
