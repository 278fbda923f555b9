import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createClientAddress } from './client-address.ts'

const proxies = ['10.0.0.0/8', '2001:db8:ffff::/48', '192.0.2.1']

const cases: readonly (readonly [
  string,
  readonly string[],
  string | undefined,
  string | string[] | undefined,
  string,
])[] = [
  ['the peer, where nothing is trusted', [], '198.51.100.7', '203.0.113.9', '198.51.100.7'],
  ['the peer, where it is not trusted', proxies, '198.51.100.7', '203.0.113.9', '198.51.100.7'],
  ['a trusted peer without the header', proxies, '10.1.2.3', undefined, '10.1.2.3'],
  ['a trusted peer with an empty header', proxies, '10.1.2.3', '', '10.1.2.3'],
  ['the nearest that is not trusted', proxies, '10.1.2.3', '203.0.113.9, 198.51.100.1', '198.51.100.1'],
  ['through several proxies', proxies, '10.1.2.3', '203.0.113.9, 192.0.2.1, 10.9.9.9', '203.0.113.9'],
  ['nothing but proxies: the farthest', proxies, '10.1.2.3', '10.4.4.4, 10.9.9.9', '10.4.4.4'],
  ['garbage ends the walk', proxies, '10.1.2.3', '203.0.113.9, unknown, 10.9.9.9', '10.9.9.9'],
  ['garbage at once', proxies, '10.1.2.3', '203.0.113.9, <script>', '10.1.2.3'],
  ['an empty element is garbage', proxies, '10.1.2.3', '203.0.113.9,, 10.9.9.9', '10.9.9.9'],
  [
    'a header given several times',
    proxies,
    '10.1.2.3',
    ['203.0.113.9', '198.51.100.1, 10.9.9.9'],
    '198.51.100.1',
  ],
  ['a mapped peer', proxies, '::ffff:10.1.2.3', '::ffff:203.0.113.9', '203.0.113.9'],
  ['ports', proxies, '10.1.2.3', '203.0.113.9:4711, [2001:db8:ffff::5]:443', '203.0.113.9'],
  ['a mapped peer in hexadecimal', proxies, '::ffff:a01:203', '::FFFF:cb00:7109', '203.0.113.9'],
  ['quotes', proxies, '10.1.2.3', '"203.0.113.9:4711", "[2001:DB8:ffff::5]:443"', '203.0.113.9'],
  ['a zone', proxies, '10.1.2.3', '[fe80::1%25eth0]:443, 10.9.9.9', 'fe80::1'],
  ['another spelling', proxies, '2001:DB8:FFFF:0::1', '2001:DB8:1:0:0:0:0:9', '2001:db8:1::9'],
  ['IPv6', proxies, '2001:db8:ffff::1', '2001:db8:1::9', '2001:db8:1::9'],
  ['no peer at all', proxies, undefined, '203.0.113.9', 'unknown'],
]

describe('the client address', () => {
  for (const [name, trusted, peer, header, expected] of cases) {
    it(name, () => assert.equal(createClientAddress(trusted)(peer, header), expected))
  }
})
