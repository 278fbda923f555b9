import { useState } from 'react'
import { Button } from '#parts/button.tsx'
import { Dialog, DialogFoot } from '#parts/dialog.tsx'
import { SelectField, TextField } from '#parts/field.tsx'
import { Failed } from '#parts/page.tsx'
import { t } from '#words/words.ts'
import { useAddUnits } from './query.ts'

export function AddUnits({
  id,
  families,
  onClose,
}: {
  id: string
  families: readonly string[]
  onClose: () => void
}) {
  const [family, setFamily] = useState(families[0] ?? '')
  const [units, setUnits] = useState('10000')
  const add = useAddUnits(id)
  return (
    <Dialog title={t.user.addUnits} onClose={onClose} isBusy={add.isPending}>
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault()
          add.mutate({ family, units: Number(units) }, { onSuccess: onClose })
        }}
      >
        <SelectField
          label={t.usage.groups.family}
          value={family}
          onChange={(event) => setFamily(event.target.value)}
        >
          {families.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </SelectField>
        <TextField
          label={t.user.units}
          type="number"
          min={1}
          required
          autoFocus
          value={units}
          onChange={(event) => setUnits(event.target.value)}
        />
        {add.error && <Failed error={add.error} />}
        <DialogFoot>
          <Button onClick={onClose}>{t.act.cancel}</Button>
          <Button type="submit" look="main" disabled={add.isPending}>
            {t.user.addUnits}
          </Button>
        </DialogFoot>
      </form>
    </Dialog>
  )
}
