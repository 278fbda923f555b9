import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { csvCell, csvHead, csvLine } from './csv.ts'

describe('usage as CSV', () => {
  const cells: readonly (readonly [string | number, string])[] = [
    ['gpt-4o', 'gpt-4o'],
    ['', ''],
    [-3, '-3'],
    ['a,b', '"a,b"'],
    ['say "hi"', '"say ""hi"""'],
    ['two\nlines', '"two\nlines"'],
    ['=1+1', "'=1+1"],
    ['+1', "'+1"],
    ['-1', "'-1"],
    ['@sum', "'@sum"],
    ['\t=1', "'\t=1"],
    ['\r=1', '"\'\r=1"'],
    ['=HYPERLINK("http://x","y")', '"\'=HYPERLINK(""http://x"",""y"")"'],
  ]
  for (const [value, cell] of cells)
    it(`writes ${JSON.stringify(value)}`, () => assert.equal(csvCell(value), cell))

  it('has the columns that were grouped by, in their order', () => {
    const figures = { requests: 1, estimated: 0, input: 2, cacheRead: 3, cacheWritten: 4, output: 5 }
    const row = { at: 0, model: 'm', status: 200, ...figures, reasoning: 6, units: 20 }
    assert.equal(
      csvHead(['status', 'model']),
      'at,time,status,model,requests,estimated,input,cacheRead,cacheWritten,output,reasoning,units\r\n',
    )
    assert.equal(csvLine(row, ['status', 'model']), '0,1970-01-01T00:00:00.000Z,200,m,1,0,2,3,4,5,6,20\r\n')
  })
})
