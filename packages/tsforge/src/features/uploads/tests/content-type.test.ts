import { describe, expect, it } from 'vitest'
import { fits, sniff } from '../content-type.ts'

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')
const samples: readonly (readonly [string, Buffer])[] = [
  ['image/png', bytes('\x89PNG\r\n\x1a\n\0\0\0\rIHDR')],
  ['image/jpeg', bytes('\xff\xd8\xff\xe0\0\x10JFIF')],
  ['image/gif', bytes('GIF89a\x01\0\x01\0')],
  ['image/webp', bytes('RIFF\x24\0\0\0WEBPVP8 ')],
  ['image/avif', bytes('\0\0\0\x20ftypavif\0\0\0\0')],
  ['video/mp4', bytes('\0\0\0\x18ftypisom\0\0\x02\0')],
  ['application/pdf', bytes('%PDF-1.7\n')],
  ['application/zip', bytes('PK\x03\x04\x14\0')],
  ['application/gzip', bytes('\x1f\x8b\x08\0')],
  ['image/svg+xml', bytes('<?xml version="1.0"?>\n<!-- x --><svg xmlns="http://www.w3.org/2000/svg">')],
  ['image/svg+xml', bytes('<!DOCTYPE svg PUBLIC "a" "b">\n<svg onload="alert(1)">')],
  ['text/html', bytes('\xef\xbb\xbf  <!doctype HTML><html>')],
  ['text/html', bytes('\n\n<script>alert(1)</script>')],
  ['text/xml', bytes('<?xml version="1.0"?><a/>')],
  ['text/x-script', bytes('#!/bin/sh\n')],
  ['text/plain', Buffer.from('Grüße, 世界\n')],
  ['text/plain', Buffer.from('世').subarray(0, 2)],
  ['text/plain', Buffer.alloc(0)],
  ['application/octet-stream', Buffer.from([1, 2, 3, 255])],
]

describe('content', () => {
  it.each(samples)('that looks like %s is seen as such', (type, head) => {
    expect(sniff(head)).toBe(type)
    expect(fits(type, sniff(head))).toBe(true)
  })

  it.each([
    ['image/png', 'image/jpeg'],
    ['image/png', 'text/html'],
    ['image/png', 'text/plain'],
    ['image/png', 'application/octet-stream'],
    ['image/png', 'image/svg+xml'],
    ['text/plain', 'text/html'],
    ['text/csv', 'application/zip'],
    ['application/json', 'text/html'],
    ['application/pdf', 'text/plain'],
    ['application/octet-stream', 'text/html'],
    ['application/octet-stream', 'application/x-executable'],
    ['model/gltf-binary', 'image/svg+xml'],
    ['image/svg+xml', 'text/html'],
    ['text/html', 'text/plain'],
  ])('is not taken for %s when it is %s', (declared, actual) => {
    expect(fits(declared, actual)).toBe(false)
  })

  it.each([
    ['image/jpg', 'image/jpeg'],
    ['text/csv; charset=utf-8', 'text/plain'],
    ['application/vnd.openxmlformats-officedocument.wordprocessingml.document', 'application/zip'],
    ['application/msword', 'application/x-ole-storage'],
    ['application/octet-stream', 'application/octet-stream'],
    ['application/octet-stream', 'application/zip'],
    ['model/gltf-binary', 'application/octet-stream'],
    ['audio/mp4', 'video/mp4'],
  ])('may be called %s when it looks like %s', (declared, actual) => {
    expect(fits(declared, actual)).toBe(true)
  })
})
